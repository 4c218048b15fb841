-- What a request to the API says, read with care: each function of the API
-- (0025 and later) takes one jsonb object of parameters. The server has checked
-- it already, but a tenant of Supabase may call the function with anything.
--
-- What is wrong with a request is raised as MH400: the message begins with the
-- parameter's name, the hint says what would be right, and the error's column
-- is the name. A parameter that is null is one that was not given.

CREATE FUNCTION metrics.refuse(parameter text, wrong text, what_is_right text)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION USING
        ERRCODE = 'MH400', MESSAGE = parameter || ' ' || wrong,
        HINT = what_is_right, COLUMN = parameter;
END $$;

CREATE FUNCTION metrics.asked_uuid(request jsonb, parameter text)
RETURNS uuid LANGUAGE plpgsql STABLE AS $$
DECLARE
    given text := request ->> parameter;
BEGIN
    IF given !~ '^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$' THEN
        PERFORM metrics.refuse(parameter, 'is not a UUID',
            'a UUID such as 123e4567-e89b-12d3-a456-426614174000');
    END IF;
    RETURN given;
END $$;

-- A time of RFC 3339 between 2000 and 2100, so that no arithmetic with it, nor
-- what JSON says of it, can fail.
CREATE FUNCTION metrics.asked_time(request jsonb, parameter text)
RETURNS timestamptz LANGUAGE plpgsql STABLE AS $$
DECLARE
    given text := request ->> parameter;
    at    timestamptz;
BEGIN
    IF given IS NULL THEN
        RETURN NULL;
    END IF;
    BEGIN
        IF given ~ ('^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?'
                    '([Zz]|[+-]\d\d:\d\d)$') THEN
            at := given;
        END IF;
    EXCEPTION WHEN data_exception THEN
        NULL;  -- 30 February, say
    END;
    IF at IS NULL THEN
        PERFORM metrics.refuse(parameter, 'is not a time with a zone',
            'a time of RFC 3339 such as 2025-01-31T00:00:00Z');
    ELSIF at < '2000-01-01 00:00:00Z' OR at >= '2100-01-01 00:00:00Z' THEN
        PERFORM metrics.refuse(parameter, 'is out of range',
            'a time from 2000-01-01T00:00:00Z to 2099-12-31T23:59:59Z');
    END IF;
    RETURN at;
END $$;

CREATE FUNCTION metrics.asked_word(
    request jsonb, parameter text, words text[], otherwise text DEFAULT NULL)
RETURNS text LANGUAGE plpgsql STABLE AS $$
DECLARE
    given text := coalesce(request ->> parameter, otherwise);
BEGIN
    IF given <> ALL (words) THEN
        PERFORM metrics.refuse(parameter, 'is none of those there are',
                               'one of ' || array_to_string(words, ', '));
    END IF;
    RETURN given;
END $$;

CREATE FUNCTION metrics.asked_integer(
    request jsonb, parameter text, lowest int, highest int,
    otherwise int)
RETURNS int LANGUAGE plpgsql STABLE AS $$
DECLARE
    given text := coalesce(request ->> parameter, otherwise::text);
BEGIN
    IF given !~ '^\d{1,9}$' OR given::int < lowest
       OR given::int > highest THEN
        PERFORM metrics.refuse(parameter, 'is not such a number',
                               format('an integer from %s to %s', lowest,
                                      highest));
    END IF;
    RETURN given;
END $$;

CREATE FUNCTION metrics.asked_boolean(
    request jsonb, parameter text, otherwise boolean)
RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN metrics.asked_word(request, parameter, '{false,true}',
                              otherwise::text);
END $$;

-- The projects asked about, and the workflow, NULL meaning all of theirs. Not
-- `known`: there is no such thing, or it is not the caller's, which nobody is
-- told apart.
CREATE FUNCTION metrics.asked_scope(
    request jsonb, OUT projects uuid[], OUT workflow uuid, OUT known boolean)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    project uuid := metrics.asked_uuid(request, 'project_id');
BEGIN
    workflow := metrics.asked_uuid(request, 'workflow_id');
    projects := metrics.seen_projects();
    known := true;
    IF project IS NOT NULL THEN
        known := project = ANY (projects);
        projects := ARRAY[project];
    END IF;
    IF workflow IS NOT NULL AND known THEN
        SELECT ARRAY[d.project_id] INTO projects
        FROM public.workflow_definitions AS d
        WHERE d.id = workflow AND d.project_id = ANY (projects);
        known := FOUND;
    END IF;
END $$;

-- The range that is asked about, widened to whole hours, or days where `unit`
-- is day: also where months of hours have been dropped already.
CREATE FUNCTION metrics.asked_range(
    start_date timestamptz, end_date timestamptz, unit text,
    OUT since timestamptz, OUT until timestamptz)
LANGUAGE plpgsql STABLE AS $$
DECLARE
    hours_since timestamptz := (
        SELECT max(dropped_before) FROM metrics.retention
        WHERE table_name IN ('workflow_metrics_hourly',
                             'project_metrics_hourly'));
BEGIN
    -- Whole days are added up already (0024).
    since := coalesce(start_date, date_trunc(
        'day', end_date - interval '720 hours', 'UTC'));
    IF since >= end_date THEN
        PERFORM metrics.refuse('start_date', 'is not before end_date',
                               'a start_date before end_date, which is now '
                               'where it is not given');
    ELSIF since < end_date - interval '9600 hours' THEN
        PERFORM metrics.refuse('start_date',
                               'is more than 400 days before end_date',
                               'a range of at most 400 days');
    END IF;
    until := metrics.ceil_time(CASE WHEN end_date <= hours_since THEN 'day'
                                    ELSE unit END, end_date);
    since := date_trunc(CASE WHEN since < hours_since THEN 'day'
                             ELSE unit END, since, 'UTC');
END $$;

-- A cursor says where a page ended, of which question, and when its range
-- ended. It is no secret and not signed: whatever it says, the caller's own
-- rows are all that it can show.
CREATE FUNCTION metrics.question(request jsonb, operation text) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
    SELECT left(encode(sha256(convert_to(
        operation || (request - 'cursor' - 'limit')::text, 'UTF8')), 'hex'), 16)
$$;

CREATE FUNCTION metrics.new_cursor(
    request jsonb, operation text, place jsonb)
RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT translate(encode(convert_to(
        (place || jsonb_build_object(
            'q', metrics.question(request, operation)))::text, 'UTF8'),
        'base64'), E'+/=\n', '-_')
$$;

-- The place in the request's cursor; NULL where it has none. Of its members `u`
-- and `b` are times, `i` is a UUID, and `n` a number, where they are there.
CREATE FUNCTION metrics.asked_place(request jsonb, operation text)
RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
DECLARE
    given text := request ->> 'cursor';
    place jsonb;
BEGIN
    IF given IS NULL THEN
        RETURN NULL;
    END IF;
    BEGIN
        place := convert_from(decode(
            translate(given, '-_', '+/') || repeat('=', -length(given) & 3),
            'base64'), 'UTF8');
        PERFORM metrics.asked_time(place, 'u'), metrics.asked_time(place, 'b'),
                metrics.asked_uuid(place, 'i'), (place ->> 'n')::numeric;
        IF place ->> 'q' = metrics.question(request, operation) THEN
            RETURN place;
        END IF;
    EXCEPTION WHEN data_exception OR SQLSTATE 'MH400' THEN
        NULL;
    END;
    PERFORM metrics.refuse('cursor', 'is not one that this question gave',
                           'next_cursor of the page before, with otherwise '
                           'the same parameters, or no cursor');
END $$;

-- Refused unless granted here, whatever default privileges gave to whom.
SELECT metrics.revoke_functions(
    'refuse', 'asked_uuid', 'asked_time', 'asked_word', 'asked_integer',
    'asked_boolean', 'asked_scope', 'asked_range', 'question', 'new_cursor',
    'asked_place');
