// SPDX-License-Identifier: MIT

/** How a board is written to its file. */
export const toJson = (board: unknown): string => `${JSON.stringify(board, null, 2)}\n`;
