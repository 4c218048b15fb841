# SPDX-License-Identifier: MIT
# Makes alertmanager.yml fit the demo's mail catcher, which has no TLS. Only for
# the catcher: mail to any other host stays encrypted.
#   sed -f alerts/demo.sed alerts/alertmanager.yml
s/^  smtp_require_tls: true$/  smtp_require_tls: false/
