-- Functions behind the triggers. Owned by animus_owner; re-created by every migration run.
-- Every table and function is named with its schema, and the path ends with pg_temp: else a
-- caller's temporary tables would be found first, and answer in the place of the records.

CREATE OR REPLACE FUNCTION public.animus_refuse_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RAISE EXCEPTION '% on % is refused: its rows are written once', TG_OP, TG_TABLE_NAME
    USING ERRCODE = 'AN001';
END $$;

-- Arguments: the columns that may change.
CREATE OR REPLACE FUNCTION public.animus_only_columns_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF TG_OP = 'DELETE' THEN
    RAISE EXCEPTION 'DELETE on % is refused: its rows stay', TG_TABLE_NAME USING ERRCODE = 'AN001';
  END IF;
  IF (to_jsonb(OLD) - TG_ARGV) IS DISTINCT FROM (to_jsonb(NEW) - TG_ARGV) THEN
    RAISE EXCEPTION 'UPDATE on % is refused: only % may change', TG_TABLE_NAME, TG_ARGV
      USING ERRCODE = 'AN001';
  END IF;
  RETURN NEW;
END $$;

-- Arguments: the columns that say when, and by whom, a row went out of force. Once, and for good.
CREATE OR REPLACE FUNCTION public.animus_only_revoke() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  revoked_at text := TG_ARGV[0];
BEGIN
  IF TG_OP = 'DELETE' THEN
    RAISE EXCEPTION 'DELETE on % is refused: its rows stay', TG_TABLE_NAME USING ERRCODE = 'AN001';
  END IF;
  IF (to_jsonb(OLD) - TG_ARGV) IS DISTINCT FROM (to_jsonb(NEW) - TG_ARGV)
     OR (to_jsonb(OLD)->>revoked_at) IS NOT NULL OR (to_jsonb(NEW)->>revoked_at) IS NULL THEN
    RAISE EXCEPTION 'UPDATE on % is refused: % is set once, and stays', TG_TABLE_NAME, revoked_at
      USING ERRCODE = 'AN001';
  END IF;
  RETURN NEW;
END $$;

-- `animus.erasing` names the event that says so, and that event must be there.
CREATE OR REPLACE FUNCTION public.animus_refuse_unless_erasing() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF TG_OP = 'DELETE' AND EXISTS (
    SELECT FROM public.audit_events e
     WHERE e.id = nullif(current_setting('animus.erasing', true), '')::uuid
       AND e.action = 'audit.payload_erased'
       AND convert_from(e.leaf, 'UTF8')::jsonb->'subjects'->>'audit_event' = OLD.event_id::text
  ) THEN
    RETURN OLD;
  END IF;
  RAISE EXCEPTION '% on % is refused: use animus_erase_audit_payload', TG_OP, TG_TABLE_NAME
    USING ERRCODE = 'AN001';
END $$;

-- Erases one payload and records that it was erased. The caller brings the new event's leaf,
-- which must name the erased event; the erased event's leaf and salted hash stay.
CREATE OR REPLACE FUNCTION public.animus_erase_audit_payload(
  erased uuid, event uuid, event_leaf bytea, event_payload_hash bytea, event_salt bytea,
  event_payload bytea
) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  said jsonb := convert_from(event_leaf, 'UTF8')::jsonb;
BEGIN
  IF said->>'action' IS DISTINCT FROM 'audit.payload_erased'
     OR said->'subjects'->>'audit_event' IS DISTINCT FROM erased::text
     OR said->>'id' IS DISTINCT FROM event::text THEN
    RAISE EXCEPTION 'the event does not say what is erased' USING ERRCODE = 'AN002';
  END IF;
  INSERT INTO public.audit_events (id, leaf, payload_hash, occurred_at, project_id, run_id,
                                   actor_id, actor_kind, action, result, request_id)
  VALUES (event, event_leaf, event_payload_hash, (said->>'time')::timestamptz,
          (said->>'project')::uuid, NULL, (said->'actor'->>'id')::uuid, said->'actor'->>'kind',
          said->>'action', said->>'result', said->>'request_id');
  INSERT INTO public.audit_payloads (event_id, salt, payload)
  VALUES (event, event_salt, event_payload);
  INSERT INTO public.audit_pending (event_id) VALUES (event);
  PERFORM set_config('animus.erasing', event::text, true);
  DELETE FROM public.audit_payloads WHERE event_id = erased;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'there is no payload of event %', erased USING ERRCODE = 'AN002';
  END IF;
  PERFORM set_config('animus.erasing', '', true);
END $$;
REVOKE ALL ON FUNCTION public.animus_erase_audit_payload FROM PUBLIC;
GRANT EXECUTE ON FUNCTION public.animus_erase_audit_payload TO animus_api;

-- A run is born created, and moves along the table of transitions (generated from the domain).
CREATE OR REPLACE FUNCTION public.animus_check_run() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    IF NEW.state <> 'created' OR NEW.generation <> 0 OR NEW.plan_digest IS NOT NULL THEN
      RAISE EXCEPTION 'a run begins as created' USING ERRCODE = 'AN003';
    END IF;
    RETURN NEW;
  END IF;
  IF OLD.ended_at IS NOT NULL THEN
    RAISE EXCEPTION 'run % has ended as %', OLD.id, OLD.state USING ERRCODE = 'AN003';
  END IF;
  IF NEW.state <> OLD.state AND NOT public.animus_may_become(OLD.state, NEW.state) THEN
    RAISE EXCEPTION 'a run that is % cannot become %', OLD.state, NEW.state USING ERRCODE = 'AN003';
  END IF;
  IF NEW.generation < OLD.generation THEN
    RAISE EXCEPTION 'a gate generation cannot go back' USING ERRCODE = 'AN003';
  END IF;
  IF OLD.state = 'running' AND (NEW.generation <> OLD.generation
                                OR NEW.plan_digest IS DISTINCT FROM OLD.plan_digest) THEN
    RAISE EXCEPTION 'a run that is running keeps the plan that was permitted'
      USING ERRCODE = 'AN003';
  END IF;
  IF NEW.state = 'running' AND OLD.state <> 'running' THEN
    PERFORM public.animus_check_permission_to_run(NEW.id, NEW.generation, NEW.plan_digest);
    IF (EXISTS (SELECT FROM public.project_quotas q WHERE q.project_id = NEW.project_id)
        OR EXISTS (SELECT FROM public.cluster_capacities c WHERE c.cluster_id = NEW.cluster_id))
       AND NOT EXISTS (SELECT FROM public.admissions a
                        WHERE a.run_id = NEW.id AND a.generation = NEW.generation
                          AND NOT EXISTS (SELECT FROM public.queue_departures d
                                           WHERE d.run_id = a.run_id AND d.stay = a.stay
                                             AND d.generation = a.generation)) THEN
      RAISE EXCEPTION 'run % was not let in, and there are limits', NEW.id USING ERRCODE = 'AN004';
    END IF;
    PERFORM public.animus_check_cluster_of_project(NEW.id, NEW.project_id, NEW.cluster_id);
  END IF;
  RETURN NEW;
END $$;

-- A list that says null allows every cluster, as no list at all does.
CREATE OR REPLACE FUNCTION public.animus_check_cluster_of_project(
  run uuid, project uuid, cluster uuid
) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  allowed text[];
BEGIN
  SELECT p.clusters INTO allowed FROM public.project_clusters p
   WHERE p.project_id = project ORDER BY p.revision DESC LIMIT 1;
  IF allowed IS NOT NULL
     AND NOT EXISTS (SELECT FROM public.clusters c WHERE c.id = cluster AND c.name = ANY (allowed))
  THEN
    RAISE EXCEPTION 'run % is for a cluster that its project may not use', run
      USING ERRCODE = 'AN004';
  END IF;
END $$;

-- A decision counts, and a closing is in force, until it is taken back.
CREATE OR REPLACE FUNCTION public.animus_is_withdrawn(decision uuid) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
RETURN EXISTS (SELECT FROM public.decision_withdrawals w WHERE w.decision_id = decision);

CREATE OR REPLACE FUNCTION public.animus_is_reopened(gate uuid, closing_number integer)
RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
RETURN EXISTS (SELECT FROM public.decision_withdrawals w
                WHERE w.gate_id = gate AND w.reopens = closing_number);

-- Every gate of the generation satisfied by decisions on this very plan digest, and the plan
-- revalidated: whatever an activity answered, without these rows nothing runs.
CREATE OR REPLACE FUNCTION public.animus_check_permission_to_run(
  run uuid, gen integer, digest bytea
) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  demanded integer;
BEGIN
  SELECT gates INTO demanded FROM public.execution_plans p
   WHERE p.run_id = run AND p.generation = gen AND p.plan_digest = digest AND p.effect <> 'deny';
  IF NOT FOUND THEN
    RAISE EXCEPTION 'run % has no permitted plan of this digest', run USING ERRCODE = 'AN004';
  END IF;
  IF (SELECT count(*) FROM public.approval_gates g
       WHERE g.run_id = run AND g.generation = gen AND g.plan_digest = digest) <> demanded THEN
    RAISE EXCEPTION 'run % does not have the gates its plan demands', run USING ERRCODE = 'AN004';
  END IF;
  IF EXISTS (
    SELECT FROM public.approval_gates g
     WHERE g.run_id = run AND g.generation = gen
       AND (EXISTS (SELECT FROM public.decisions d WHERE d.gate_id = g.id AND d.verdict = 'reject'
                       AND NOT public.animus_is_withdrawn(d.id))
            OR (SELECT count(DISTINCT d.person_id) FROM public.decisions d
                 WHERE d.gate_id = g.id AND d.plan_digest = digest AND d.verdict = 'approve'
                   AND NOT public.animus_is_withdrawn(d.id))
               < g.quorum
            OR NOT EXISTS (SELECT FROM public.gate_closures c
                            WHERE c.gate_id = g.id AND c.closing = 'satisfied'
                              AND NOT public.animus_is_reopened(c.gate_id, c.number)))
  ) THEN
    RAISE EXCEPTION 'run % has a gate that is not satisfied', run USING ERRCODE = 'AN004';
  END IF;
  IF NOT EXISTS (SELECT FROM public.revalidations r
                  WHERE r.run_id = run AND r.generation = gen AND r.plan_digest = digest
                    AND r.outcome = 'same') THEN
    RAISE EXCEPTION 'run % was not revalidated', run USING ERRCODE = 'AN004';
  END IF;
END $$;

-- Attempts are opened for running runs only, on the plan that was approved.
CREATE OR REPLACE FUNCTION public.animus_check_attempt() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM public.runs r WHERE r.id = NEW.run_id AND r.state = 'running'
                  AND r.plan_digest = NEW.plan_digest) THEN
    RAISE EXCEPTION 'run % is not running this plan', NEW.run_id USING ERRCODE = 'AN004';
  END IF;
  IF EXISTS (SELECT FROM public.attempts a
               LEFT JOIN public.attempt_outcomes o ON o.attempt_id = a.id
              WHERE a.run_id = NEW.run_id AND a.step = NEW.step
                AND (o.attempt_id IS NULL OR a.number >= NEW.number)) THEN
    RAISE EXCEPTION 'step % has an open or later attempt', NEW.step USING ERRCODE = 'AN005';
  END IF;
  RETURN NEW;
END $$;

-- No decision on a gate that is closed or past its deadline, by the database's clock.
CREATE OR REPLACE FUNCTION public.animus_check_decision() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF EXISTS (SELECT FROM public.gate_closures c WHERE c.gate_id = NEW.gate_id
                AND NOT public.animus_is_reopened(c.gate_id, c.number))
     OR EXISTS (SELECT FROM public.approval_gates g
                 WHERE g.id = NEW.gate_id AND g.deadline <= clock_timestamp()) THEN
    RAISE EXCEPTION 'gate % takes no decision any more', NEW.gate_id USING ERRCODE = 'AN006';
  END IF;
  -- Who decides in whose place, a foreign key says. One voice is heard once, whoever lends it.
  IF NEW.delegation_id IS NOT NULL
     AND NOT EXISTS (SELECT FROM public.delegations d
                       JOIN public.approval_gates g ON g.id = NEW.gate_id AND g.role = d.role
                      WHERE d.id = NEW.delegation_id AND d.revoked_at IS NULL
                        AND d.until > clock_timestamp()) THEN
    RAISE EXCEPTION 'delegation % does not hold for gate %', NEW.delegation_id, NEW.gate_id
      USING ERRCODE = 'AN009';
  END IF;
  IF EXISTS (SELECT FROM public.decisions d
              WHERE d.gate_id = NEW.gate_id AND NOT public.animus_is_withdrawn(d.id)
                AND (d.in_place_of IN (NEW.person_id, NEW.in_place_of)
                     OR d.person_id = NEW.in_place_of)) THEN
    RAISE EXCEPTION 'on gate % this person was heard', NEW.gate_id USING ERRCODE = 'AN010';
  END IF;
  -- That nobody has two first ones, a constraint says.
  IF NEW.number > 1
     AND NOT EXISTS (SELECT FROM public.decisions d
                      WHERE d.gate_id = NEW.gate_id AND d.person_id = NEW.person_id
                        AND d.number = NEW.number - 1 AND public.animus_is_withdrawn(d.id)) THEN
    RAISE EXCEPTION 'the decision before on gate % stands', NEW.gate_id USING ERRCODE = 'AN006';
  END IF;
  -- That the digest is this gate's review, a foreign key says.
  IF NEW.review_digest IS NULL
     AND EXISTS (SELECT FROM public.gate_reviews r WHERE r.gate_id = NEW.gate_id) THEN
    RAISE EXCEPTION 'the decision on gate % does not say which review it is about', NEW.gate_id
      USING ERRCODE = 'AN004';
  END IF;
  RETURN NEW;
END $$;

-- A gate is closed again only after the closing before was taken back.
CREATE OR REPLACE FUNCTION public.animus_check_closure() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF NEW.number > 1 AND NOT public.animus_is_reopened(NEW.gate_id, NEW.number - 1) THEN
    RAISE EXCEPTION 'gate % is closed', NEW.gate_id USING ERRCODE = 'AN006';
  END IF;
  RETURN NEW;
END $$;

-- Taken back is a decision before execution begins, and what reopens a gate is what closed it.
CREATE OR REPLACE FUNCTION public.animus_check_withdrawal() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF EXISTS (SELECT FROM public.runs r WHERE r.id = NEW.run_id
              AND (r.state = 'running' OR r.ended_at IS NOT NULL)) THEN
    RAISE EXCEPTION 'run % has begun or ended', NEW.run_id USING ERRCODE = 'AN008';
  END IF;
  IF NEW.reopens IS NOT NULL
     AND NOT EXISTS (SELECT FROM public.gate_closures c
                      WHERE c.gate_id = NEW.gate_id AND c.number = NEW.reopens
                        AND c.closing IN ('satisfied', 'rejected')) THEN
    RAISE EXCEPTION 'gate % stays closed', NEW.gate_id USING ERRCODE = 'AN006';
  END IF;
  RETURN NEW;
END $$;

-- The name of a monthly partition of a telemetry table, and of those alone. Years are four digits
-- of our era: in a name, another era would look the same.
CREATE OR REPLACE FUNCTION public.animus_partition_name(parent text, first date) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF parent IS NULL OR parent NOT IN ('run_metrics', 'run_messages') THEN
    RAISE EXCEPTION '% is no telemetry table', parent USING ERRCODE = 'AN007';
  END IF;
  IF first IS NULL OR first NOT BETWEEN '1000-01-01' AND '9999-12-01' THEN
    RAISE EXCEPTION '% is no month of a partition', first USING ERRCODE = 'AN007';
  END IF;
  RETURN parent || '_' || to_char(first, 'YYYYMM');
END $$;

CREATE OR REPLACE FUNCTION public.animus_make_partition(parent text, month date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  first date := date_trunc('month', month)::date;
  child text := public.animus_partition_name(parent, first);
BEGIN
  EXECUTE format('CREATE TABLE IF NOT EXISTS public.%I PARTITION OF public.%I '
                 'FOR VALUES FROM (%L) TO (%L)', child, parent, first, first + interval '1 month');
  -- TRUNCATE triggers are not inherited by partitions.
  EXECUTE format('CREATE OR REPLACE TRIGGER refuse_truncate BEFORE TRUNCATE ON public.%I '
                 'FOR EACH STATEMENT EXECUTE FUNCTION public.animus_refuse_change()', child);
  EXECUTE format('ALTER TABLE public.%I ENABLE ALWAYS TRIGGER refuse_truncate', child);
END $$;
REVOKE ALL ON FUNCTION public.animus_make_partition FROM PUBLIC;
GRANT EXECUTE ON FUNCTION public.animus_make_partition TO animus_worker;

-- Not before its month is over for 30 days, by the database's clock.
CREATE OR REPLACE FUNCTION public.animus_drop_partition(parent text, month date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  first date := date_trunc('month', month)::date;
  child text := public.animus_partition_name(parent, first);
BEGIN
  IF (first + interval '1 month 30 days') AT TIME ZONE 'UTC' > clock_timestamp() THEN
    RAISE EXCEPTION 'partition % is too young to be dropped', child USING ERRCODE = 'AN007';
  END IF;
  EXECUTE format('DROP TABLE IF EXISTS public.%I', child);
END $$;
REVOKE ALL ON FUNCTION public.animus_drop_partition FROM PUBLIC;
GRANT EXECUTE ON FUNCTION public.animus_drop_partition TO animus_worker;
