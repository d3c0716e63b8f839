-- Every statement of the ledger. Values are always bound; statuses that are searched for are
-- written out, so that partial indexes are used.

-- ---------------------------------------------------------------------------------- statuses

-- name: move_job
-- Changes a job's status if it is still one of those that the change starts from.
UPDATE jobs SET status = :target WHERE id = :id AND status IN :sources;

-- name: move_task
-- Changes a task's status if it is still one of those that the change starts from.
UPDATE tasks SET status = :target WHERE id = :id AND status IN :sources;

-- name: add_event
-- Appends to a job's history.
INSERT INTO events (job_id, at_us, kind, detail) VALUES (:job_id, :now_us, :kind, :detail);

-- -------------------------------------------------------------------------------------- jobs

-- name: add_job
-- Stores a pending job.
INSERT INTO jobs (id, name, status, spec, plan, spec_hash, pipeline_hash, scope, round, priority, labels, host, share, created_us, tasks_limit, waits_for_scan, waits_for_names)
VALUES (:id, :name, 'pending', :spec, :plan, :spec_hash, :pipeline_hash, :scope, 1, :priority, :labels, :host, :share, :now_us, :tasks_limit, :waits_for_scan, :waits_for_names)
ON CONFLICT (id) DO NOTHING;

-- name: lock_spec
-- Nothing: a write on SQLite is alone.
SELECT :spec_hash;

-- name: lock_spec for postgresql
-- Has equal commands that begin together wait for each other. No unique index can do it: `--new`
-- makes a second job of the same spec on purpose.
SELECT pg_advisory_xact_lock(hashtextextended(:spec_hash, 0));

-- name: lock_job
-- Nothing: a write on SQLite is alone.
SELECT 1 FROM jobs WHERE id = :id;

-- name: lock_job for postgresql
-- Has everything that depends on a job's status wait for whoever changes it, claims included.
SELECT 1 FROM jobs WHERE id = :id FOR NO KEY UPDATE;

-- name: find_unfinished
-- The latest job of a spec that has not ended: what retyping a command goes on with. No team goes on with another's.
SELECT id FROM jobs
WHERE spec_hash = :spec_hash AND share = :share AND status IN ('pending', 'running', 'paused') AND NOT deleting
  AND (request IS NULL OR request <> 'cancel') AND error IS NULL
ORDER BY id DESC LIMIT 1;

-- name: find_ids
-- Ids between a prefix and the first text behind all that begin with it.
SELECT id FROM jobs WHERE id >= :first AND id < :behind AND NOT deleting AND (:share IS NULL OR share = :share)
ORDER BY id LIMIT :wanted;

-- name: get_job
-- One job, whole.
SELECT * FROM jobs WHERE id = :id AND NOT deleting;

-- name: get_status
-- What a worker polls while it works on a job.
SELECT status, request, error, scan_complete, forgiven, revision FROM jobs WHERE id = :id AND NOT deleting;

-- name: list_jobs
-- A page of jobs, the latest first: of a team, of a name, with labels (a JSON object), where these are given.
SELECT * FROM jobs
WHERE NOT deleting AND (:status IS NULL OR status = :status) AND (:before IS NULL OR id < :before)
  AND (:share IS NULL OR share = :share) AND (:name IS NULL OR name = :name)
  AND (:labels IS NULL OR NOT EXISTS (SELECT 1 FROM json_each(:labels) AS w WHERE NOT EXISTS (
    SELECT 1 FROM json_each(jobs.labels) AS l WHERE l.key = w.key AND l.value = w.value)))
ORDER BY id DESC LIMIT :wanted;

-- name: list_jobs for postgresql
-- The same; a label with a NUL, which its JSON functions refuse, is never asked for and never looked at.
SELECT * FROM jobs
WHERE NOT deleting AND (:status IS NULL OR status = :status) AND (:before IS NULL OR id < :before)
  AND (:share IS NULL OR share = :share) AND (:name IS NULL OR name = :name)
  AND (:labels IS NULL OR (CASE WHEN strpos(labels, '\u0000') > 0 THEN FALSE
    ELSE CAST(labels AS jsonb) @> CAST(:labels AS jsonb) END))
ORDER BY id DESC LIMIT :wanted;

-- name: unfinished_of_team
-- As many rows as a team has jobs that have not ended, up to a number.
SELECT 1 FROM jobs WHERE status IN ('pending', 'running', 'paused') AND share = :share AND NOT deleting LIMIT :wanted;

-- name: list_tasks
-- A page of a job's tasks, in order, each with the worker that holds it.
SELECT t.id, t.kind, t.status, t.round, t.parent_id, t.attempts, t.entries, t.size_bytes, t.filtered, t.done, t.skipped,
  t.failed, t.vanished, t.poisoned, t.bytes_in, t.bytes_out, l.worker_id
FROM tasks AS t LEFT JOIN leases AS l ON l.task_id = t.id
WHERE t.job_id = :job_id AND t.id > :after ORDER BY t.id LIMIT :wanted;

-- name: count_unfinished
-- How many jobs wait, run and pause: through the index, as ended ones may be many.
SELECT status, COUNT(*) AS jobs FROM jobs WHERE status IN ('pending', 'running', 'paused') GROUP BY status;

-- name: count_leases
-- How many tasks are in work.
SELECT COUNT(*) FROM leases;

-- name: sum_tasks
-- A job's books: sums over its tasks, never a row that tasks share.
SELECT
  CAST(COALESCE(SUM(entries), 0) AS BIGINT) AS entries, CAST(COALESCE(SUM(filtered), 0) AS BIGINT) AS filtered,
  CAST(COALESCE(SUM(done), 0) AS BIGINT) AS done, CAST(COALESCE(SUM(skipped), 0) AS BIGINT) AS skipped,
  CAST(COALESCE(SUM(failed), 0) AS BIGINT) AS failed, CAST(COALESCE(SUM(vanished), 0) AS BIGINT) AS vanished,
  CAST(COALESCE(SUM(poisoned), 0) AS BIGINT) AS poisoned, CAST(COALESCE(SUM(size_bytes), 0) AS BIGINT) AS size_bytes,
  CAST(COALESCE(SUM(bytes_in), 0) AS BIGINT) AS bytes_in, CAST(COALESCE(SUM(bytes_out), 0) AS BIGINT) AS bytes_out
FROM tasks WHERE job_id = :job_id;

-- name: list_summaries
-- What each task tells of its reasons, failures and slowest files.
SELECT summary FROM tasks WHERE job_id = :job_id AND summary IS NOT NULL ORDER BY id;

-- name: next_blobs
-- The next task of entries behind an id, with its manifest.
SELECT t.id, t.entries, t.summary, m.blob, m.names FROM tasks AS t JOIN manifests AS m ON m.task_id = t.id
WHERE t.job_id = :job_id AND t.id > :after AND t.entries > 0
  AND (NOT :failed_only OR t.failed + t.vanished + t.poisoned > 0)
ORDER BY t.id LIMIT 1;

-- name: next_claimed_again
-- The next task behind an id that had several holders, one of which may have died in the middle of something, or that
-- tells of uploads it could not give up; every task of a job whose ledger has forgotten some.
SELECT t.id, t.entries, t.summary, m.blob, m.names FROM tasks AS t JOIN manifests AS m ON m.task_id = t.id
WHERE t.job_id = :job_id AND t.id > :after AND t.kind = 'entries' AND (t.attempts > 1
  OR t.summary LIKE '%"uploads_left"%'
  OR EXISTS (SELECT 1 FROM events AS e WHERE e.job_id = :job_id AND e.kind = 'ledger_rolled_back'))
ORDER BY t.id LIMIT 1;

-- name: list_windows
-- A task's windows in order.
SELECT blob, amendments, acknowledged FROM windows WHERE task_id = :task_id ORDER BY seq;

-- name: get_report
-- The report of a round, or of the last round that has one.
SELECT report FROM reports WHERE job_id = :job_id AND (:round IS NULL OR round = :round)
ORDER BY round DESC LIMIT 1;

-- name: last_event
-- The newest event of a job.
SELECT COALESCE(MAX(id), 0) FROM events WHERE job_id = :job_id;

-- name: list_events
-- What happened to a job behind an event.
SELECT id, at_us, kind, detail FROM events WHERE job_id = :job_id AND id > :after ORDER BY id LIMIT :wanted;

-- ---------------------------------------------------------------------------------- requests

-- name: set_request
-- Asks for a pause or a cancel; a cancel is never taken back by a pause.
UPDATE jobs SET request = :request, paused_by = :why
WHERE id = :id AND NOT deleting AND (request IS NULL OR request <> 'cancel')
  AND (status IN ('pending', 'running') OR (:request = 'cancel' AND status = 'paused'));

-- name: take_back_pause
-- A pause that has not taken effect yet is forgotten.
UPDATE jobs SET request = NULL WHERE id = :id AND request = 'pause';

-- name: forgive
-- A resume forgets why the job was paused; after a pause by the failure budget it accepts the failures so far.
UPDATE jobs SET paused_by = NULL, forgiven = CASE WHEN :over_budget
  THEN (SELECT COALESCE(SUM(failed + poisoned), 0) FROM tasks WHERE job_id = jobs.id) ELSE forgiven END
WHERE id = :id AND paused_by IS NOT NULL;

-- name: get_pause
-- Why Pravah itself has paused a job.
SELECT paused_by FROM jobs WHERE id = :id;

-- name: change_job
-- What was asked of a job changes while it is worked on.
UPDATE jobs SET spec = :spec, plan = :plan, priority = :priority, tasks_limit = :tasks_limit, revision = revision + 1
WHERE id = :id AND status IN ('pending', 'running', 'paused') AND NOT deleting;

-- name: goes_on
-- Whether anybody works on a job, or its closing waits for somebody who does.
SELECT 1 FROM tasks AS t
WHERE t.job_id = :job_id AND (EXISTS (SELECT 1 FROM leases AS l WHERE l.task_id = t.id)
  OR (t.kind = 'closing' AND t.status = 'pending')) LIMIT 1;

-- name: open_round
-- A retry begins: the account of the round before stays in its report.
UPDATE jobs SET round = round + 1, request = NULL, error = NULL, results = NULL, paused_by = NULL, forgiven = 0, started_us = NULL, finished_us = NULL,
  paused_us = NULL, idle_us = 0
WHERE id = :id;

-- name: list_retried
-- Tasks that a retry looks at: with failures, or with entries that have no outcome.
SELECT id, kind, status, entries, seq, failed + vanished + poisoned AS failures,
  entries - done - skipped - failed - vanished - poisoned AS remaining,
  unclean OR EXISTS (SELECT 1 FROM windows AS w WHERE w.task_id = tasks.id AND NOT w.acknowledged) AS unsettled
FROM tasks
WHERE job_id = :job_id AND kind <> 'closing' AND id <= :last_id
  AND (failed + vanished + poisoned > 0 OR entries > done + skipped + failed + vanished + poisoned
       OR (kind = 'scan' AND status <> 'completed'))
ORDER BY id;

-- name: last_task
-- The newest task of a job.
SELECT COALESCE(MAX(id), 0) FROM tasks WHERE job_id = :job_id;

-- name: reopen_task
-- A task that was given up goes on in the new round where it stopped.
UPDATE tasks SET round = :round, strikes = 0, deaths = 0, suspects = NULL WHERE id = :id;

-- name: shrink_task
-- What a retry leaves of a task: entries that moved away are counted there no more.
UPDATE tasks SET seq = seq + 1, entries = entries - :gone, size_bytes = size_bytes - :gone_bytes, done = :done,
  skipped = :skipped, failed = :failed, vanished = :vanished, poisoned = :poisoned, bytes_in = :bytes_in,
  bytes_out = :bytes_out, summary = :summary
WHERE id = :id;

-- name: split_task
-- The same under the task's lease, for entries that become tasks of their own. What is recorded must be acknowledged.
UPDATE tasks SET seq = seq + 1, entries = entries - :gone, size_bytes = size_bytes - :gone_bytes, done = :done,
  skipped = :skipped, failed = :failed, vanished = :vanished, poisoned = :poisoned, bytes_in = :bytes_in,
  bytes_out = :bytes_out, summary = :summary
WHERE id = :id AND token = :token AND seq = :seq AND status = 'running'
  AND NOT EXISTS (SELECT 1 FROM windows AS w WHERE w.task_id = tasks.id AND NOT w.acknowledged);

-- name: set_scan_complete
-- The scan has ended when none of its units is left.
UPDATE jobs SET scan_complete =
  NOT EXISTS (SELECT 1 FROM tasks WHERE job_id = :id AND kind = 'scan' AND status <> 'completed')
WHERE id = :id;

-- name: mark_deleting
-- From here on the job is gone for everybody; its rows follow in small batches.
UPDATE jobs SET deleting = TRUE WHERE id = :id AND status IN ('completed', 'failed', 'cancelled') AND NOT deleting;

-- name: prunable
-- Jobs whose books were closed before a time, the oldest first.
SELECT id FROM jobs
WHERE status IN ('completed', 'failed', 'cancelled') AND NOT deleting AND finished_us < :before_us
ORDER BY finished_us LIMIT :wanted;

-- name: mark_pruned
-- The same as a deletion, unless the job was retried since it was found.
UPDATE jobs SET deleting = TRUE
WHERE id = :id AND status IN ('completed', 'failed', 'cancelled') AND NOT deleting AND finished_us < :before_us;

-- name: list_deleting
-- Jobs whose deletion began and perhaps stopped.
SELECT id FROM jobs WHERE deleting ORDER BY id;

-- name: first_tasks
-- The next tasks to remove.
SELECT id FROM tasks WHERE job_id = :job_id ORDER BY id DESC LIMIT :wanted;

-- name: drop_windows
-- Part of a deletion.
DELETE FROM windows WHERE task_id IN :ids;

-- name: drop_manifests
-- Part of a deletion, and of putting entries together in other tasks.
DELETE FROM manifests WHERE task_id IN :ids;

-- name: drop_tasks
-- Part of a deletion, and of putting entries together in other tasks.
DELETE FROM tasks WHERE id IN :ids;

-- name: drop_events
-- Part of a deletion.
DELETE FROM events WHERE id IN (SELECT id FROM events WHERE job_id = :job_id LIMIT :wanted);

-- name: drop_reports
-- Part of a deletion.
DELETE FROM reports WHERE job_id = :job_id;

-- name: drop_job
-- The last row of a deletion.
DELETE FROM jobs WHERE id = :id AND deleting;

-- ---------------------------------------------------------------------------------- timelines

-- name: get_whereabouts
-- Which cluster and timeline this is, and how far its log is on disk; nothing from a server that only follows another.
SELECT (SELECT CAST(system_identifier AS TEXT) FROM pg_control_system()) AS cluster,
  CAST(CAST('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) AS BIT(32)) AS BIGINT) AS timeline,
  CAST(pg_current_wal_flush_lsn() - CAST('0/0' AS pg_lsn) AS BIGINT) AS position
WHERE NOT pg_is_in_recovery();

-- name: last_timeline
-- Where the ledger was when somebody looked last.
SELECT cluster, timeline FROM timelines ORDER BY id DESC LIMIT 1;

-- name: lock_timelines
-- Has those who notice the same change come one after the other.
LOCK TABLE timelines IN SHARE ROW EXCLUSIVE MODE;

-- name: add_timeline
-- The ledger lives here from now on.
INSERT INTO timelines (cluster, timeline, seen_us) VALUES (:cluster, :timeline, :now_us);

-- name: lock_unfinished
-- Every job that has not ended.
SELECT id FROM jobs WHERE status IN ('pending', 'running', 'paused') AND NOT deleting ORDER BY id FOR NO KEY UPDATE;

-- name: pause_unfinished
-- Asks for a pause, whoever asked for one before; a job that is being cancelled stays so.
UPDATE jobs SET request = CASE WHEN status = 'paused' OR request = 'cancel' THEN request ELSE 'pause' END,
  paused_by = COALESCE(paused_by, :why)
WHERE id = :id;

-- name: leap_counters
-- Tokens that were given out and forgotten may have left temporaries: no counter of theirs comes again, and their
-- directories are looked through.
UPDATE tasks SET counter = counter + :leap, unclean = (unclean OR kind = 'entries') WHERE status IN ('pending', 'running');

-- name: accept_equal
-- From now on files that are equal to a job's outputs count as those.
UPDATE jobs SET plan = :plan, revision = revision + 1 WHERE id = :id;

-- ------------------------------------------------------------------------------------ claims

-- name: claimable
-- Pending tasks of one kind: the highest priority first, then the team with the fewest tasks of entries in work,
-- of its jobs the one with the fewest, then in the order in which they were listed.
-- None of a job that is on another host, or that has as many tasks in work as it may.
WITH held AS MATERIALIZED (
  SELECT j.share, t.job_id, CAST(COUNT(*) AS BIGINT) AS tasks
  FROM leases AS l JOIN tasks AS t ON t.id = l.task_id JOIN jobs AS j ON j.id = t.job_id
  WHERE t.kind = 'entries' GROUP BY j.share, t.job_id)
SELECT t.id, t.job_id, t.kind, t.counter, t.seq, t.strikes, t.deaths, t.suspects, t.unclean, t.entries, j.status AS job_status,
  j.tasks_limit, (SELECT p.kind FROM tasks AS p WHERE p.id = t.parent_id) AS parent_kind
FROM jobs AS j JOIN tasks AS t ON t.job_id = j.id
WHERE j.status IN ('pending', 'running') AND j.request IS NULL AND j.error IS NULL AND NOT j.deleting
  AND j.host IN ('', :host) AND t.status = 'pending' AND t.kind = :kind AND (:job_id IS NULL OR j.id = :job_id)
  AND (j.scan_complete OR NOT j.waits_for_scan OR t.kind <> 'entries')
  AND (j.scan_complete OR t.kind <> 'names') AND NOT (j.waits_for_names AND t.kind = 'entries')
  AND (j.tasks_limit IS NULL OR t.kind <> 'entries'
       OR j.tasks_limit > COALESCE((SELECT h.tasks FROM held AS h WHERE h.job_id = j.id), 0))
ORDER BY j.priority DESC, COALESCE((SELECT SUM(h.tasks) FROM held AS h WHERE h.share = j.share), 0),
  COALESCE((SELECT h.tasks FROM held AS h WHERE h.job_id = j.id), 0), j.id, t.id
LIMIT :wanted :passing_over;

-- name: lock_limit
-- Nothing: a write on SQLite is alone.
SELECT :job_id;

-- name: lock_limit for postgresql
-- Has claims of a job with a limit come one after the other, so that they count each other.
SELECT pg_advisory_xact_lock(hashtextextended(:job_id, 1));

-- name: count_leased
-- How many tasks of entries of a job are in work.
SELECT COUNT(*) FROM leases AS l JOIN tasks AS t ON t.id = l.task_id WHERE t.job_id = :job_id AND t.kind = 'entries';

-- name: claimable_closing
-- Closing tasks: they exist only when nothing else is left to do, whatever was asked since.
SELECT t.id, t.job_id, t.kind, t.counter, t.seq, t.strikes, t.deaths, t.suspects, t.unclean, t.entries, j.status AS job_status
FROM jobs AS j JOIN tasks AS t ON t.job_id = j.id
WHERE j.status IN ('pending', 'running', 'paused') AND NOT j.deleting
  AND j.host IN ('', :host) AND t.status = 'pending' AND t.kind = 'closing' AND (:job_id IS NULL OR j.id = :job_id)
ORDER BY j.priority DESC, j.id, t.id LIMIT :wanted :passing_over;

-- name: settleable
-- Tasks of jobs that pause or end whose recorded window or litter somebody has to deal with.
SELECT t.id, t.job_id, t.kind, t.counter, t.seq, t.strikes, t.deaths, t.suspects, t.unclean, t.entries, j.status AS job_status
FROM jobs AS j JOIN tasks AS t ON t.job_id = j.id
WHERE j.status IN ('pending', 'running', 'paused') AND (j.request IS NOT NULL OR j.error IS NOT NULL) AND NOT j.deleting
  AND j.host IN ('', :host) AND t.status = 'pending' AND t.kind = 'entries' AND (:job_id IS NULL OR j.id = :job_id)
  AND (t.unclean OR EXISTS (SELECT 1 FROM windows AS w WHERE w.task_id = t.id AND NOT w.acknowledged))
ORDER BY j.priority DESC, j.id, t.id LIMIT :wanted :passing_over;

-- name: lease_task
-- Gives a task its new token.
UPDATE tasks SET token = :token, counter = :counter, attempts = attempts + 1 WHERE id = :id AND status = 'pending';

-- name: add_lease
-- Who works on what.
INSERT INTO leases (task_id, token, worker_id) VALUES (:task_id, :token, :worker_id);

-- name: add_lease for postgresql
-- Who works on what, and until when unless it shows life.
INSERT INTO leases (task_id, token, worker_id, expires_us) VALUES (:task_id, :token, :worker_id, :now_us + :ttl_us);

-- name: renew_leases
-- A worker shows that it still works on these tasks.
UPDATE leases SET expires_us = :now_us + :ttl_us WHERE worker_id = :worker_id AND task_id IN :ids;

-- name: expired_leases
-- Tasks whose holders have shown no life for too long.
SELECT t.id AS task_id, t.job_id FROM leases AS l JOIN tasks AS t ON t.id = l.task_id
WHERE l.expires_us < :now_us ORDER BY t.id LIMIT :wanted FOR UPDATE OF l, t SKIP LOCKED;

-- name: show_life
-- Registers a worker, or notes that it is alive; by the database's clock.
INSERT INTO workers (id, host, pid, started_ticks, boot_id, beat_s, lock_path, joined_us, version)
VALUES (:id, :host, :pid, :started_ticks, :boot_id, :now_us / 1000000, '', :now_us, :version)
ON CONFLICT (id) DO UPDATE SET beat_s = excluded.beat_s;

-- name: was_heard
-- Whether a worker is known and was heard of lately.
SELECT 1 FROM workers WHERE id = :id AND beat_s > :now_us / 1000000 - :silent_s;

-- name: drop_silent_workers
-- Workers that hold nothing and have shown no life for long.
DELETE FROM workers AS w WHERE w.beat_s < :now_us / 1000000 - :silent_s
  AND NOT EXISTS (SELECT 1 FROM leases AS l WHERE l.worker_id = w.id);

-- name: longest_task
-- The task in work elsewhere with the most entries left, if there are enough to share and its job may have one more in work.
-- None that has killed its process: its entries are looked at one by one.
SELECT l.task_id FROM leases AS l JOIN tasks AS t ON t.id = l.task_id JOIN jobs AS j ON j.id = t.job_id
WHERE l.worker_id <> :worker_id AND t.kind = 'entries' AND NOT l.asked AND (:job_id IS NULL OR j.id = :job_id)
  AND j.status = 'running' AND j.request IS NULL AND j.error IS NULL AND j.host IN ('', :host)
  AND t.suspects IS NULL AND t.deaths = 0 AND t.strikes = 0
  AND t.entries - t.done - t.skipped - t.failed - t.vanished - t.poisoned >= :least
  AND (j.tasks_limit IS NULL OR j.tasks_limit > (SELECT COUNT(*) FROM leases AS o JOIN tasks AS a ON a.id = o.task_id
    WHERE a.job_id = j.id AND a.kind = 'entries'))
ORDER BY t.entries - t.done - t.skipped - t.failed - t.vanished - t.poisoned DESC LIMIT 1;

-- name: ask_for_part
-- Somebody who has nothing to do wants a part of a task.
UPDATE leases SET asked = TRUE WHERE task_id = :task_id AND NOT asked;

-- name: asked_leases
-- Which of its tasks a worker is asked to share.
SELECT task_id FROM leases WHERE worker_id = :worker_id AND asked;

-- name: drop_lease
-- Nobody works on it any more.
DELETE FROM leases WHERE task_id = :task_id;

-- name: set_started
-- When a round of a job was first worked on; a pause is over when work goes on.
UPDATE jobs SET started_us = COALESCE(started_us, :now_us), paused_us = NULL,
  idle_us = idle_us + CASE WHEN started_us IS NULL THEN 0 ELSE COALESCE(:now_us - paused_us, 0) END
WHERE id = :id;

-- name: set_undone
-- The outputs of the job were taken back.
UPDATE jobs SET undone_us = :now_us WHERE id = :id;

-- name: set_paused
-- Nobody works on the job from now on.
UPDATE jobs SET paused_us = :now_us WHERE id = :id;

-- name: get_task_blobs
-- What a new holder of a task needs of it.
SELECT t.entries, t.summary, m.blob, m.names FROM tasks AS t JOIN manifests AS m ON m.task_id = t.id WHERE t.id = :task_id;

-- name: get_frontier
-- What a scan unit has to list; none where nothing of it was listed yet.
SELECT frontier FROM tasks WHERE id = :id;

-- name: last_emitted
-- The last task before an id that a scan unit emitted.
SELECT t.id, m.blob FROM tasks AS t JOIN manifests AS m ON m.task_id = t.id
WHERE t.job_id = :job_id AND t.parent_id = :parent_id AND t.kind = 'entries' AND t.id < :below_id
ORDER BY t.id DESC LIMIT 1;

-- name: list_fingerprints
-- What was published for some directories, oldest first, behind an id: one directory may have millions of outputs.
SELECT f.id, f.directory, f.blob FROM fingerprints AS f
WHERE f.scope = (SELECT scope FROM jobs WHERE id = :job_id) AND f.directory IN :directories AND f.id > :after
ORDER BY f.id LIMIT :wanted;

-- name: has_fingerprints
-- Whether a job's source and sink have met before.
SELECT 1 FROM fingerprints WHERE scope = (SELECT scope FROM jobs WHERE id = :job_id) LIMIT 1;

-- ----------------------------------------------------------------------------------- windows

-- name: advance_task
-- The write that every other one of a window's transaction depends on: matches only under the lease it was made for.
UPDATE tasks SET seq = seq + 1, strikes = CASE WHEN :progress THEN 0 ELSE strikes END,
  deaths = CASE WHEN :progress AND deaths > 1 THEN 1 ELSE deaths END, done = :done, skipped = :skipped,
  failed = :failed, vanished = :vanished, poisoned = :poisoned, bytes_in = :bytes_in, bytes_out = :bytes_out, summary = :summary
WHERE id = :id AND token = :token AND seq = :seq AND status = 'running';

-- name: advance_scan
-- The same for a scan: its frontier goes with the tasks of the same transaction.
UPDATE tasks SET seq = seq + 1, strikes = 0, deaths = CASE WHEN deaths > 1 THEN 1 ELSE deaths END,
  filtered = :filtered, summary = :summary, frontier = :frontier
WHERE id = :id AND token = :token AND seq = :seq AND status = 'running';

-- name: advance_only
-- The same for writes that change no count: giving a task back, ending it.
UPDATE tasks SET seq = seq + 1 WHERE id = :id AND token = :token AND seq = :seq AND status = 'running';

-- name: get_position
-- Read once when a write matched no row: was it applied, its reply lost?
SELECT token, seq FROM tasks WHERE id = :id;

-- name: acknowledge_window
-- The window recorded before is published: its entries count from here on.
UPDATE windows SET acknowledged = TRUE, amendments = COALESCE(:amendments, amendments)
WHERE task_id = :task_id AND NOT acknowledged;

-- name: add_window
-- Records a window, or with acknowledged set the rows that a retry moved away.
INSERT INTO windows (task_id, seq, acknowledged, blob) VALUES (:task_id, :seq, :acknowledged, :blob);

-- name: add_fingerprint
-- What an acknowledged window published in a directory.
INSERT INTO fingerprints (scope, directory, blob)
SELECT scope, :directory, :blob FROM jobs WHERE id = :job_id AND scope IS NOT NULL;

-- name: add_fingerprints
-- The same for many directories in one statement, where each would be a journey to the server.
INSERT INTO fingerprints (scope, directory, blob)
SELECT j.scope, f.directory, f.blob
FROM jobs AS j, unnest(CAST(:each_directory AS BYTEA[]), CAST(:each_blob AS BYTEA[])) AS f (directory, blob)
WHERE j.id = :job_id AND j.scope IS NOT NULL;

-- name: add_task
-- A slice of entries, a scan unit, or the closing.
INSERT INTO tasks (job_id, parent_id, kind, round, status, entries, size_bytes, frontier)
SELECT id, :parent_id, :kind, round, 'pending', :entries, :size_bytes, :frontier FROM jobs WHERE id = :job_id
RETURNING id;

-- name: add_manifest
-- The immutable list of a task's entries.
INSERT INTO manifests (task_id, blob) VALUES (:task_id, :blob);

-- name: set_names
-- What was decided about the names of a task's entries; whatever was before is part of it.
UPDATE manifests SET names = :names WHERE task_id = :task_id;

-- name: names_compared
-- From here on the entries of a job are worked on.
UPDATE jobs SET waits_for_names = FALSE WHERE id = :id;

-- name: compare_names_again
-- A new round may bring new names; of a job that compares them.
UPDATE jobs SET waits_for_names = TRUE
WHERE id = :id AND EXISTS (SELECT 1 FROM tasks AS t WHERE t.job_id = jobs.id AND t.kind = 'names');

-- name: free_task
-- A task is given back; what its attempt left behind is remembered.
UPDATE tasks SET token = NULL, unclean = :unclean, strikes = strikes + :strikes, deaths = deaths + :deaths,
  suspects = COALESCE(:suspects, suspects)
WHERE id = :id;

-- name: set_error
-- The job can't go on; the first reason stays.
UPDATE jobs SET error = :error WHERE id = :id AND error IS NULL AND status IN ('pending', 'running', 'paused');

-- ----------------------------------------------------------------------------------- workers

-- name: add_worker
-- A process that works begins.
INSERT INTO workers (id, host, pid, started_ticks, boot_id, beat_s, lock_path, joined_us, version)
VALUES (:id, :host, :pid, :started_ticks, :boot_id, :beat_s, :lock_path, :now_us, :version);

-- name: show_workers
-- Every worker with the number of tasks and of jobs that it works on.
SELECT w.id, w.host, w.pid, w.boot_id, w.beat_s, w.joined_us, w.version, NULL AS silent_s,
  (SELECT COUNT(*) FROM leases AS l WHERE l.worker_id = w.id) AS tasks,
  (SELECT COUNT(DISTINCT t.job_id) FROM leases AS l JOIN tasks AS t ON t.id = l.task_id WHERE l.worker_id = w.id) AS jobs
FROM workers AS w ORDER BY w.id;

-- name: show_workers for postgresql
-- The same; what the database's clock says of their last signs of life.
SELECT w.id, w.host, w.pid, w.boot_id, w.beat_s, w.joined_us, w.version, :now_us / 1000000 - w.beat_s AS silent_s,
  (SELECT COUNT(*) FROM leases AS l WHERE l.worker_id = w.id) AS tasks,
  (SELECT COUNT(DISTINCT t.job_id) FROM leases AS l JOIN tasks AS t ON t.id = l.task_id WHERE l.worker_id = w.id) AS jobs
FROM workers AS w ORDER BY w.id;

-- name: beat
-- A worker shows that it is alive.
UPDATE workers SET beat_s = :beat_s WHERE id = :id;

-- name: list_workers
-- Every worker but oneself.
SELECT * FROM workers WHERE id <> :id;

-- name: get_beat
-- When a worker last showed that it is alive.
SELECT beat_s FROM workers WHERE id = :id;

-- name: list_leases
-- What a worker holds.
SELECT l.task_id, t.job_id FROM leases AS l JOIN tasks AS t ON t.id = l.task_id WHERE l.worker_id = :worker_id;

-- name: drop_worker
-- A worker is gone.
DELETE FROM workers WHERE id = :id;

-- ------------------------------------------------------------------------------------ ending

-- name: closable
-- Jobs without leases that may have nothing left to do, or are asked to stop.
SELECT j.id FROM jobs AS j
WHERE (j.status IN ('pending', 'running') OR (j.status = 'paused' AND j.request = 'cancel')) AND NOT j.deleting
  AND NOT EXISTS (SELECT 1 FROM tasks AS t JOIN leases AS l ON l.task_id = t.id WHERE t.job_id = j.id)
  AND (j.request IS NOT NULL OR j.error IS NOT NULL
       OR NOT EXISTS (SELECT 1 FROM tasks AS t WHERE t.job_id = j.id AND t.status = 'pending'))
ORDER BY j.priority DESC, j.id;

-- name: may_close
-- Whether nothing is left to do for a job but to close it.
SELECT 1 FROM jobs AS j
WHERE j.id = :job_id AND NOT j.deleting
  AND NOT EXISTS (SELECT 1 FROM tasks AS t JOIN leases AS l ON l.task_id = t.id WHERE t.job_id = j.id)
  AND NOT EXISTS (SELECT 1 FROM tasks AS t WHERE t.job_id = j.id AND t.kind = 'closing' AND t.round = j.round)
  AND ((j.status IN ('pending', 'running') AND j.request IS NULL AND j.error IS NULL
        AND NOT EXISTS (SELECT 1 FROM tasks AS t WHERE t.job_id = j.id AND t.status = 'pending'))
       OR ((j.request = 'cancel' OR j.error IS NOT NULL) AND j.status IN ('pending', 'running', 'paused')
           AND NOT EXISTS (SELECT 1 FROM tasks AS t WHERE t.job_id = j.id AND t.status = 'pending' AND t.kind = 'entries'
             AND (t.unclean OR EXISTS (SELECT 1 FROM windows AS w WHERE w.task_id = t.id AND NOT w.acknowledged)))));

-- name: list_pending
-- Tasks that a job leaves undone when it was cancelled or given up.
SELECT id FROM tasks WHERE job_id = :job_id AND status = 'pending' AND kind <> 'closing';

-- name: set_ended
-- The books of a job are closed.
UPDATE jobs SET request = NULL, finished_us = :finished_us, error = COALESCE(:error, error), results = :results WHERE id = :id;

-- name: add_report
-- The account of a round; final for it.
INSERT INTO reports (job_id, round, report) SELECT id, round, :report FROM jobs WHERE id = :job_id;

-- name: torn_directories
-- Directories from one on whose fingerprints lie in several small rows, as several windows published in them.
SELECT directory FROM fingerprints
WHERE scope = (SELECT scope FROM jobs WHERE id = :job_id) AND directory >= :first
GROUP BY directory HAVING COUNT(CASE WHEN length(blob) < :small THEN 1 END) > 1
ORDER BY directory LIMIT :wanted;

-- name: directory_fingerprints
-- The rows of one directory before an id, the latest first.
SELECT id, blob FROM fingerprints
WHERE scope = (SELECT scope FROM jobs WHERE id = :job_id) AND directory = :directory AND id < :below_id
ORDER BY id DESC LIMIT :wanted;

-- name: held_fingerprints
-- Rows that are about to be united.
SELECT id, blob FROM fingerprints WHERE id IN :ids ORDER BY id;

-- name: held_fingerprints for postgresql
-- The same, so that nobody else unites them meanwhile.
SELECT id, blob FROM fingerprints WHERE id IN :ids ORDER BY id FOR UPDATE;

-- name: drop_fingerprints
-- Rows whose union was stored, or of which later ones know everything better.
DELETE FROM fingerprints WHERE id IN :ids;

-- name: set_fingerprint
-- The union takes the place of the newest of its parts, so that what came later stays later.
UPDATE fingerprints SET blob = :blob WHERE id = :id;

-- --------------------------------------------------------------------------------------- API

-- name: add_key
-- Stores a key's hash and what it opens.
INSERT INTO api_keys (id, name, scope, digest, team, roots, connections, limits, created_us, expires_us)
VALUES (:id, :name, :scope, :digest, :team, :roots, :connections, :limits, :now_us, :expires_us)
ON CONFLICT (id) DO NOTHING;

-- name: get_key
-- One key.
SELECT * FROM api_keys WHERE id = :id;

-- name: list_keys
-- Every key, the oldest first: an operator makes them by hand.
SELECT * FROM api_keys ORDER BY created_us, id;

-- name: any_key
-- Whether there is a key at all.
SELECT 1 FROM api_keys WHERE revoked_us IS NULL LIMIT 1;

-- name: revoke_key
-- A key opens nothing from now on; the first revocation counts.
UPDATE api_keys SET revoked_us = :now_us WHERE id = :id AND revoked_us IS NULL;

-- name: use_key
-- When a key was used last, within a minute.
UPDATE api_keys SET used_us = :now_us WHERE id = :id;

-- name: drop_old_replies
-- Answers that nobody asks for again, a few at a time.
DELETE FROM replies WHERE (owner, request_key) IN (
  SELECT owner, request_key FROM replies WHERE reserved_us < :now_us - :kept_us LIMIT :wanted);

-- name: drop_old_replies for postgresql
-- The same; what somebody else is about to remove is left to them.
DELETE FROM replies WHERE (owner, request_key) IN (
  SELECT owner, request_key FROM replies WHERE reserved_us < :now_us - :kept_us LIMIT :wanted FOR UPDATE SKIP LOCKED);

-- name: add_reply
-- The first request under a key; of equal ones that come together the others wait for it here.
INSERT INTO replies (owner, request_key, digest, job_id, reserved_us)
VALUES (:owner, :request_key, :digest, :job_id, :now_us) ON CONFLICT (owner, request_key) DO NOTHING;

-- name: get_reply
-- What is known of a request.
SELECT digest, job_id, status, answer FROM replies WHERE owner = :owner AND request_key = :request_key;

-- name: take_reply
-- A request whose server has died is carried out by another.
UPDATE replies SET reserved_us = :now_us
WHERE owner = :owner AND request_key = :request_key AND answer IS NULL AND reserved_us < :now_us - :abandoned_us;

-- name: answer_reply
-- The answer to a request; the first one counts.
UPDATE replies SET status = :http_status, answer = :answer
WHERE owner = :owner AND request_key = :request_key AND answer IS NULL;

-- name: drop_reply
-- A request that was refused.
DELETE FROM replies WHERE owner = :owner AND request_key = :request_key AND answer IS NULL;

-- name: abandon_reply
-- A request that nobody works on, and that may have been carried out.
UPDATE replies SET reserved_us = reserved_us - :abandoned_us WHERE owner = :owner AND request_key = :request_key AND answer IS NULL;
