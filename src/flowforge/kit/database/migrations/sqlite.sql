-- Made by `make generate` from the migrations; do not edit.
CREATE TABLE account_letters (
	id VARCHAR(64) NOT NULL,
	key_id VARCHAR(64) NOT NULL,
	sealed BLOB NOT NULL,
	created_at BIGINT NOT NULL,
	due_at BIGINT NOT NULL,
	attempts INTEGER NOT NULL,
	CONSTRAINT pk_account_letters PRIMARY KEY (id)
)

CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL,
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
)

CREATE TABLE api_key_usage (
	key_id VARCHAR(64) NOT NULL,
	hour_at BIGINT NOT NULL,
	address VARCHAR(64) NOT NULL,
	requests INTEGER NOT NULL,
	used_at BIGINT NOT NULL,
	CONSTRAINT pk_api_key_usage PRIMARY KEY (key_id, hour_at, address),
	CONSTRAINT fk_api_key_usage_key_id_api_keys FOREIGN KEY(key_id) REFERENCES api_keys (id)
)

CREATE TABLE api_keys (
	id VARCHAR(64) NOT NULL,
	workspace_id VARCHAR(64) NOT NULL,
	user_id VARCHAR(64) NOT NULL,
	name VARCHAR(255) NOT NULL,
	prefix VARCHAR(12) NOT NULL,
	digest VARCHAR(64) NOT NULL,
	permissions TEXT NOT NULL,
	tier VARCHAR(20),
	created_at BIGINT NOT NULL,
	expires_at BIGINT NOT NULL,
	used_at BIGINT,
	revoked_at BIGINT,
	CONSTRAINT pk_api_keys PRIMARY KEY (id),
	CONSTRAINT uq_api_keys_prefix UNIQUE (prefix),
	CONSTRAINT fk_api_keys_user_id_users FOREIGN KEY(user_id) REFERENCES users (id)
)

CREATE TABLE audit_checkpoints (
	no INTEGER NOT NULL,
	hash VARCHAR(64) NOT NULL,
	at BIGINT NOT NULL,
	key_id VARCHAR(64) NOT NULL,
	public_key VARCHAR(64) NOT NULL,
	signature VARCHAR(128) NOT NULL,
	CONSTRAINT pk_audit_checkpoints PRIMARY KEY (no)
)

CREATE TABLE audit_head (
	id INTEGER NOT NULL,
	no BIGINT NOT NULL,
	hash VARCHAR(64) NOT NULL,
	retired_up_to BIGINT NOT NULL,
	CONSTRAINT pk_audit_head PRIMARY KEY (id)
)

CREATE TABLE audit_rows (
	no INTEGER NOT NULL,
	workspace_id VARCHAR(64),
	entity VARCHAR(40) NOT NULL,
	entity_id VARCHAR(200) NOT NULL,
	action VARCHAR(80) NOT NULL,
	actor VARCHAR(200) NOT NULL,
	credential VARCHAR(200) NOT NULL,
	ip TEXT,
	request_id VARCHAR(200) NOT NULL,
	"before" TEXT,
	"after" TEXT,
	at BIGINT NOT NULL,
	hash VARCHAR(64) NOT NULL,
	CONSTRAINT pk_audit_rows PRIMARY KEY (no)
)

CREATE TABLE audit_sinks (
	name VARCHAR(40) NOT NULL,
	row_no BIGINT NOT NULL,
	checkpoint_no BIGINT NOT NULL,
	at BIGINT NOT NULL,
	CONSTRAINT pk_audit_sinks PRIMARY KEY (name)
)

CREATE TABLE batches (
	id VARCHAR(64) NOT NULL,
	workspace_id VARCHAR(64) NOT NULL,
	kind VARCHAR(40) NOT NULL,
	status VARCHAR(20) NOT NULL,
	actor VARCHAR(200) NOT NULL,
	request TEXT NOT NULL,
	place TEXT NOT NULL,
	total BIGINT,
	done BIGINT NOT NULL,
	failed BIGINT NOT NULL,
	result TEXT NOT NULL,
	error TEXT,
	is_stopping INTEGER NOT NULL,
	holder VARCHAR(64),
	held_until BIGINT NOT NULL,
	created_at BIGINT NOT NULL,
	updated_at BIGINT NOT NULL,
	finished_at BIGINT,
	CONSTRAINT pk_batches PRIMARY KEY (id)
)

CREATE TABLE calendars (
	id VARCHAR(64) NOT NULL,
	workspace_id VARCHAR(64) NOT NULL,
	name VARCHAR(63) NOT NULL,
	rules TEXT NOT NULL,
	etag VARCHAR(64) NOT NULL,
	created_at BIGINT NOT NULL,
	created_by VARCHAR(200) NOT NULL,
	updated_at BIGINT NOT NULL,
	updated_by VARCHAR(200) NOT NULL,
	CONSTRAINT pk_calendars PRIMARY KEY (id),
	CONSTRAINT uq_calendars_workspace_id_name UNIQUE (workspace_id, name)
)

CREATE TABLE custom_roles (
	id VARCHAR(64) NOT NULL,
	name VARCHAR(200) NOT NULL,
	description TEXT NOT NULL,
	permissions TEXT NOT NULL,
	etag VARCHAR(64) NOT NULL,
	created_at BIGINT NOT NULL,
	updated_at BIGINT NOT NULL,
	CONSTRAINT pk_custom_roles PRIMARY KEY (id),
	CONSTRAINT uq_custom_roles_name UNIQUE (name)
)

CREATE TABLE definitions (
	digest VARCHAR(128) NOT NULL,
	document TEXT NOT NULL,
	CONSTRAINT pk_definitions PRIMARY KEY (digest)
)

CREATE TABLE event_deliveries (
	id VARCHAR(64) NOT NULL,
	subscription_id VARCHAR(64) NOT NULL,
	workspace_id VARCHAR(64) NOT NULL,
	event_no INTEGER NOT NULL,
	event_type VARCHAR(40) NOT NULL,
	event TEXT NOT NULL,
	status VARCHAR(10) NOT NULL,
	attempts INTEGER NOT NULL,
	due_at BIGINT,
	last_status INTEGER,
	last_error TEXT,
	created_at BIGINT NOT NULL,
	ended_at BIGINT,
	CONSTRAINT pk_event_deliveries PRIMARY KEY (id),
	CONSTRAINT uq_event_deliveries_subscription_id_event_no UNIQUE (subscription_id, event_no)
)

CREATE TABLE event_positions (
	name VARCHAR(40) NOT NULL,
	position INTEGER NOT NULL,
	CONSTRAINT pk_event_positions PRIMARY KEY (name)
)

CREATE TABLE event_readers (
	name VARCHAR(40) NOT NULL,
	position INTEGER NOT NULL,
	CONSTRAINT pk_event_readers PRIMARY KEY (name)
)

CREATE TABLE event_subscriptions (
	id VARCHAR(64) NOT NULL,
	workspace_id VARCHAR(64) NOT NULL,
	url VARCHAR(2000) NOT NULL,
	types TEXT NOT NULL,
	key_id VARCHAR(64) NOT NULL,
	sealed BLOB NOT NULL,
	active INTEGER NOT NULL,
	position INTEGER NOT NULL,
	created_at BIGINT NOT NULL,
	created_by VARCHAR(200) NOT NULL,
	updated_at BIGINT NOT NULL,
	CONSTRAINT pk_event_subscriptions PRIMARY KEY (id)
)

CREATE TABLE events (
	no INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
	workspace_id VARCHAR(64) NOT NULL,
	name VARCHAR(200) NOT NULL,
	correlation VARCHAR(200),
	body TEXT NOT NULL,
	sender VARCHAR(200) NOT NULL,
	at BIGINT NOT NULL,
	matched INTEGER NOT NULL
)

CREATE TABLE external_identities (
	id VARCHAR(64) NOT NULL,
	user_id VARCHAR(64) NOT NULL,
	connector VARCHAR(200) NOT NULL,
	external_id VARCHAR(255) NOT NULL,
	email VARCHAR(320),
	name VARCHAR(255),
	source VARCHAR(20) NOT NULL,
	attributes TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	verified_at BIGINT,
	CONSTRAINT pk_external_identities PRIMARY KEY (id),
	CONSTRAINT uq_external_identities_connector_external_id UNIQUE (connector, external_id),
	CONSTRAINT fk_external_identities_user_id_users FOREIGN KEY(user_id) REFERENCES users (id)
)

CREATE TABLE feature_flags (
	name VARCHAR(64) NOT NULL,
	enabled BOOLEAN NOT NULL,
	description TEXT NOT NULL,
	workspaces TEXT NOT NULL,
	etag VARCHAR(64) NOT NULL,
	updated_at BIGINT NOT NULL,
	updated_by VARCHAR(200) NOT NULL,
	CONSTRAINT pk_feature_flags PRIMARY KEY (name)
)

CREATE TABLE files (
	id VARCHAR(64) NOT NULL,
	workspace_id VARCHAR(64) NOT NULL,
	name VARCHAR(255) NOT NULL,
	media_type VARCHAR(200) NOT NULL,
	size BIGINT NOT NULL,
	sha256 VARCHAR(64) NOT NULL,
	created_at BIGINT NOT NULL,
	created_by VARCHAR(200) NOT NULL,
	CONSTRAINT pk_files PRIMARY KEY (id)
)

CREATE TABLE group_members (
	group_id VARCHAR(64) NOT NULL,
	user_id VARCHAR(64) NOT NULL,
	added_at BIGINT NOT NULL,
	CONSTRAINT pk_group_members PRIMARY KEY (group_id, user_id)
)

CREATE TABLE identity_changes (
	id INTEGER NOT NULL,
	number BIGINT NOT NULL,
	CONSTRAINT pk_identity_changes PRIMARY KEY (id)
)

CREATE TABLE inbox (
	no INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
	run_no INTEGER NOT NULL,
	kind VARCHAR(20) NOT NULL,
	dedup VARCHAR(400),
	body TEXT NOT NULL,
	sender VARCHAR(200) NOT NULL,
	unread INTEGER NOT NULL,
	CONSTRAINT uq_inbox_run_no_dedup UNIQUE (run_no, dedup)
)

CREATE TABLE jobs (
	run_no INTEGER NOT NULL,
	"key" VARCHAR(400) NOT NULL,
	attempt INTEGER NOT NULL,
	workspace_id VARCHAR(64) NOT NULL,
	queue VARCHAR(40) NOT NULL,
	status VARCHAR(20) NOT NULL,
	priority INTEGER NOT NULL,
	at BIGINT NOT NULL,
	owner INTEGER,
	epoch INTEGER NOT NULL,
	params TEXT NOT NULL,
	CONSTRAINT pk_jobs PRIMARY KEY (run_no, "key", attempt)
)

CREATE TABLE journal (
	run_no INTEGER NOT NULL,
	seq INTEGER NOT NULL,
	epoch INTEGER NOT NULL,
	at BIGINT NOT NULL,
	events INTEGER NOT NULL,
	body TEXT NOT NULL,
	CONSTRAINT pk_journal PRIMARY KEY (run_no, seq)
)

CREATE TABLE kept_answers (
	workspace_id VARCHAR(64) NOT NULL,
	name VARCHAR(64) NOT NULL,
	digest VARCHAR(64) NOT NULL,
	event_no BIGINT,
	answer TEXT,
	asked_at BIGINT NOT NULL,
	CONSTRAINT pk_kept_answers PRIMARY KEY (workspace_id, name)
)

CREATE TABLE leases (
	name VARCHAR(40) NOT NULL,
	holder INTEGER NOT NULL,
	epoch INTEGER NOT NULL,
	expires_at BIGINT NOT NULL,
	CONSTRAINT pk_leases PRIMARY KEY (name)
)

CREATE TABLE mailbox_readers (
	trigger_id VARCHAR(64) NOT NULL,
	digest VARCHAR(64) NOT NULL,
	validity BIGINT NOT NULL,
	last_uid BIGINT NOT NULL,
	next_at BIGINT NOT NULL,
	failures BIGINT NOT NULL,
	CONSTRAINT pk_mailbox_readers PRIMARY KEY (trigger_id)
)

CREATE TABLE notifications (
	id VARCHAR(64) NOT NULL,
	user_id VARCHAR(64) NOT NULL,
	workspace_id VARCHAR(64) NOT NULL,
	cause VARCHAR(200) NOT NULL,
	kind VARCHAR(40) NOT NULL,
	title VARCHAR(255) NOT NULL,
	text TEXT NOT NULL,
	subject VARCHAR(200),
	created_at BIGINT NOT NULL,
	read_at BIGINT,
	CONSTRAINT pk_notifications PRIMARY KEY (id),
	CONSTRAINT uq_notifications_user_id_cause UNIQUE (user_id, cause)
)

CREATE TABLE one_time_links (
	digest VARCHAR(64) NOT NULL,
	purpose VARCHAR(16) NOT NULL,
	user_id VARCHAR(64) NOT NULL,
	epoch INTEGER NOT NULL,
	created_at BIGINT NOT NULL,
	expires_at BIGINT NOT NULL,
	used_at BIGINT,
	CONSTRAINT pk_one_time_links PRIMARY KEY (digest),
	CONSTRAINT fk_one_time_links_user_id_users FOREIGN KEY(user_id) REFERENCES users (id)
)

CREATE TABLE outbox (
	no INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
	workspace_id VARCHAR(64) NOT NULL,
	aggregate_type VARCHAR(20) NOT NULL,
	aggregate_id VARCHAR(64) NOT NULL,
	event_type VARCHAR(40) NOT NULL,
	payload TEXT NOT NULL,
	traceparent VARCHAR(64),
	created_at BIGINT NOT NULL,
	published_at BIGINT,
	attempts INTEGER DEFAULT '0' NOT NULL,
	last_error TEXT,
	dead_at BIGINT,
	due_at BIGINT
)

CREATE TABLE passwords (
	user_id VARCHAR(64) NOT NULL,
	hash VARCHAR(255),
	changed_at BIGINT NOT NULL,
	totp_key_id VARCHAR(64),
	totp_sealed BLOB,
	totp_since BIGINT,
	totp_step BIGINT NOT NULL,
	CONSTRAINT pk_passwords PRIMARY KEY (user_id),
	CONSTRAINT fk_passwords_user_id_users FOREIGN KEY(user_id) REFERENCES users (id)
)

CREATE TABLE permission_overrides (
	user_id VARCHAR(64) NOT NULL,
	allow TEXT NOT NULL,
	deny TEXT NOT NULL,
	updated_at BIGINT NOT NULL,
	updated_by VARCHAR(200) NOT NULL,
	CONSTRAINT pk_permission_overrides PRIMARY KEY (user_id)
)

CREATE TABLE person_keys (
	user_id VARCHAR(64) NOT NULL,
	key_id VARCHAR(64),
	sealed BLOB,
	created_at BIGINT NOT NULL,
	erased_at BIGINT,
	CONSTRAINT pk_person_keys PRIMARY KEY (user_id)
)

CREATE TABLE projects (
	id VARCHAR(64) NOT NULL,
	workspace_id VARCHAR(64) NOT NULL,
	name VARCHAR(63) NOT NULL,
	title TEXT NOT NULL,
	description TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	created_by VARCHAR(200) NOT NULL,
	updated_at BIGINT NOT NULL,
	updated_by VARCHAR(200) NOT NULL,
	deleted_at BIGINT NOT NULL,
	CONSTRAINT pk_projects PRIMARY KEY (id),
	CONSTRAINT uq_projects_workspace_id_name_deleted_at UNIQUE (workspace_id, name, deleted_at)
)

CREATE TABLE queue (
	run_no INTEGER NOT NULL,
	workspace_id VARCHAR(64) NOT NULL,
	suspect INTEGER NOT NULL,
	priority INTEGER NOT NULL,
	due_at BIGINT NOT NULL,
	cause VARCHAR(20) NOT NULL,
	why TEXT,
	since BIGINT NOT NULL,
	scope VARCHAR(400),
	slot_limit INTEGER, needs INTEGER DEFAULT '1' NOT NULL,
	CONSTRAINT pk_queue PRIMARY KEY (run_no)
)

CREATE TABLE rates (
	scope VARCHAR(400) NOT NULL,
	tat INTEGER NOT NULL,
	CONSTRAINT pk_rates PRIMARY KEY (scope)
)

CREATE TABLE refresh_tokens (
	digest VARCHAR(64) NOT NULL,
	session_id VARCHAR(64) NOT NULL,
	user_id VARCHAR(64) NOT NULL,
	created_at BIGINT NOT NULL,
	expires_at BIGINT NOT NULL,
	used_at BIGINT,
	CONSTRAINT pk_refresh_tokens PRIMARY KEY (digest),
	CONSTRAINT fk_refresh_tokens_user_id_users FOREIGN KEY(user_id) REFERENCES users (id)
)

CREATE TABLE refused_messages (
	no INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
	at BIGINT NOT NULL,
	queue VARCHAR(200) NOT NULL,
	reason VARCHAR(400) NOT NULL,
	excerpt TEXT NOT NULL
)

CREATE TABLE role_assignments (
	id VARCHAR(64) NOT NULL,
	principal VARCHAR(64) NOT NULL,
	role VARCHAR(64) NOT NULL,
	workspace_id VARCHAR(64) NOT NULL,
	project_id VARCHAR(64) NOT NULL,
	created_at BIGINT NOT NULL,
	created_by VARCHAR(200) NOT NULL,
	CONSTRAINT pk_role_assignments PRIMARY KEY (id),
	CONSTRAINT uq_role_assignments_principal_role_workspace_id_project_id UNIQUE (principal, role, workspace_id, project_id)
)

CREATE TABLE run_blobs (
	run_no INTEGER NOT NULL,
	blob VARCHAR(64) NOT NULL,
	CONSTRAINT pk_run_blobs PRIMARY KEY (run_no, blob)
)

CREATE TABLE run_labels (
	run_no INTEGER NOT NULL,
	"key" VARCHAR(200) NOT NULL,
	workspace_id VARCHAR(64) NOT NULL,
	value VARCHAR(200) NOT NULL,
	started_at BIGINT NOT NULL,
	CONSTRAINT pk_run_labels PRIMARY KEY (run_no, "key")
)

CREATE TABLE runs (
	no INTEGER NOT NULL,
	id VARCHAR(64) NOT NULL,
	workspace_id VARCHAR(64) NOT NULL,
	workflow_id VARCHAR(64) NOT NULL,
	workflow_name VARCHAR(200) NOT NULL,
	version INTEGER,
	digest VARCHAR(128) NOT NULL,
	status VARCHAR(20) NOT NULL,
	priority INTEGER NOT NULL,
	subject VARCHAR(200),
	trigger_no INTEGER,
	actor VARCHAR(200) NOT NULL,
	epoch INTEGER NOT NULL,
	owner INTEGER,
	mail INTEGER NOT NULL,
	crashes INTEGER NOT NULL,
	parent_no INTEGER,
	parent_key VARCHAR(400),
	fork_of INTEGER,
	dedup VARCHAR(400),
	started_at BIGINT NOT NULL,
	finished_at BIGINT,
	error_code VARCHAR(200),
	error_key VARCHAR(400),
	events INTEGER NOT NULL,
	bytes INTEGER NOT NULL,
	counted_seq INTEGER NOT NULL,
	CONSTRAINT pk_runs PRIMARY KEY (no),
	CONSTRAINT uq_runs_id UNIQUE (id),
	CONSTRAINT uq_runs_parent_no_parent_key UNIQUE (parent_no, parent_key),
	CONSTRAINT uq_runs_workspace_id_dedup UNIQUE (workspace_id, dedup)
)

CREATE TABLE runtime_settings (
	name VARCHAR(64) NOT NULL,
	value TEXT NOT NULL,
	etag VARCHAR(64) NOT NULL,
	updated_at BIGINT NOT NULL,
	updated_by VARCHAR(200) NOT NULL,
	CONSTRAINT pk_runtime_settings PRIMARY KEY (name)
)

CREATE TABLE schedule_slots (
	trigger_id VARCHAR(64) NOT NULL,
	slot BIGINT NOT NULL,
	workspace_id VARCHAR(64) NOT NULL,
	nominal VARCHAR(32) NOT NULL,
	is_late BOOLEAN NOT NULL,
	attempts INTEGER NOT NULL,
	due_at BIGINT NOT NULL,
	CONSTRAINT pk_schedule_slots PRIMARY KEY (trigger_id, slot)
)

CREATE TABLE schedules (
	trigger_id VARCHAR(64) NOT NULL,
	workspace_id VARCHAR(64) NOT NULL,
	digest VARCHAR(64) NOT NULL,
	calendar VARCHAR(63),
	last_slot BIGINT NOT NULL,
	next_slot BIGINT,
	next_at BIGINT,
	last_run_id VARCHAR(64),
	CONSTRAINT pk_schedules PRIMARY KEY (trigger_id)
)

CREATE TABLE schema_compatibility (
	oldest VARCHAR(32) NOT NULL,
	CONSTRAINT pk_schema_compatibility PRIMARY KEY (oldest)
)

CREATE TABLE secrets (
	id VARCHAR(64) NOT NULL,
	workspace_id VARCHAR(64) NOT NULL,
	name VARCHAR(200) NOT NULL,
	key_id VARCHAR(64) NOT NULL,
	sealed BLOB NOT NULL,
	hosts TEXT NOT NULL,
	version INTEGER NOT NULL,
	updated_at BIGINT NOT NULL,
	CONSTRAINT pk_secrets PRIMARY KEY (id),
	CONSTRAINT uq_secrets_workspace_id_name UNIQUE (workspace_id, name)
)

CREATE TABLE sessions (
	digest VARCHAR(64) NOT NULL,
	id VARCHAR(64) NOT NULL,
	user_id VARCHAR(64) NOT NULL,
	kind VARCHAR(16) NOT NULL,
	epoch INTEGER NOT NULL,
	key_id VARCHAR(64) NOT NULL,
	sealed BLOB NOT NULL,
	created_at BIGINT NOT NULL,
	used_at BIGINT NOT NULL,
	expires_at BIGINT NOT NULL,
	CONSTRAINT pk_sessions PRIMARY KEY (digest),
	CONSTRAINT uq_sessions_id UNIQUE (id),
	CONSTRAINT fk_sessions_user_id_users FOREIGN KEY(user_id) REFERENCES users (id)
)

CREATE TABLE sign_in_failures (
	scope VARCHAR(200) NOT NULL,
	since BIGINT NOT NULL,
	failures INTEGER NOT NULL,
	strikes INTEGER NOT NULL,
	blocked_until BIGINT NOT NULL,
	CONSTRAINT pk_sign_in_failures PRIMARY KEY (scope)
)

CREATE TABLE slots (
	scope VARCHAR(400) NOT NULL,
	n INTEGER NOT NULL,
	run_no INTEGER NOT NULL,
	"key" VARCHAR(400) NOT NULL,
	since BIGINT NOT NULL,
	displaced INTEGER NOT NULL,
	CONSTRAINT pk_slots PRIMARY KEY (scope, n)
)

CREATE TABLE snapshots (
	run_no INTEGER NOT NULL,
	seq INTEGER NOT NULL,
	format INTEGER NOT NULL,
	body BLOB NOT NULL,
	CONSTRAINT pk_snapshots PRIMARY KEY (run_no)
)

CREATE TABLE spent_sign_ins (
	state VARCHAR(64) NOT NULL,
	expires_at BIGINT NOT NULL,
	CONSTRAINT pk_spent_sign_ins PRIMARY KEY (state)
)

CREATE TABLE step_logs (
	no INTEGER NOT NULL,
	run_no INTEGER NOT NULL,
	at BIGINT NOT NULL,
	level VARCHAR(20) NOT NULL,
	step VARCHAR(400) NOT NULL,
	attempt INTEGER NOT NULL,
	message TEXT NOT NULL,
	fields TEXT NOT NULL,
	CONSTRAINT pk_step_logs PRIMARY KEY (no)
)

CREATE TABLE templates (
	id VARCHAR(64) NOT NULL,
	workspace_id VARCHAR(64) NOT NULL,
	kind VARCHAR(20) NOT NULL,
	name VARCHAR(63) NOT NULL,
	title TEXT NOT NULL,
	description TEXT NOT NULL,
	category VARCHAR(100) NOT NULL,
	content TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	created_by VARCHAR(200) NOT NULL,
	updated_at BIGINT NOT NULL,
	updated_by VARCHAR(200) NOT NULL,
	deleted_at BIGINT NOT NULL,
	CONSTRAINT pk_templates PRIMARY KEY (id),
	CONSTRAINT uq_templates_workspace_id_kind_name_deleted_at UNIQUE (workspace_id, kind, name, deleted_at)
)

CREATE TABLE trigger_events (
	id VARCHAR(64) NOT NULL,
	trigger_id VARCHAR(64) NOT NULL,
	workspace_id VARCHAR(64) NOT NULL,
	at BIGINT NOT NULL,
	dedup VARCHAR(400),
	digest VARCHAR(64) NOT NULL,
	data TEXT NOT NULL,
	CONSTRAINT pk_trigger_events PRIMARY KEY (id),
	CONSTRAINT uq_trigger_events_trigger_id_dedup UNIQUE (trigger_id, dedup)
)

CREATE TABLE trigger_requests (
	no INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
	trigger_id VARCHAR(64) NOT NULL,
	workspace_id VARCHAR(64) NOT NULL,
	at BIGINT NOT NULL,
	status INTEGER NOT NULL,
	run_id VARCHAR(64),
	event_id VARCHAR(64),
	error VARCHAR(200),
	remote_address VARCHAR(64),
	user_agent VARCHAR(200)
)

CREATE TABLE triggers (
	id VARCHAR(64) NOT NULL,
	workspace_id VARCHAR(64) NOT NULL,
	workflow_id VARCHAR(64) NOT NULL,
	workflow VARCHAR(63) NOT NULL,
	"key" VARCHAR(64) NOT NULL,
	kind VARCHAR(20) NOT NULL,
	source VARCHAR(10) NOT NULL,
	config TEXT NOT NULL,
	input TEXT,
	path VARCHAR(200),
	is_live BOOLEAN NOT NULL,
	paused VARCHAR(10) NOT NULL,
	etag VARCHAR(64) NOT NULL,
	created_at BIGINT NOT NULL,
	created_by VARCHAR(200) NOT NULL,
	updated_at BIGINT NOT NULL,
	updated_by VARCHAR(200) NOT NULL,
	total BIGINT NOT NULL,
	successful BIGINT NOT NULL,
	failed BIGINT NOT NULL,
	last_fired_at BIGINT,
	CONSTRAINT pk_triggers PRIMARY KEY (id),
	CONSTRAINT uq_triggers_workflow_id_key UNIQUE (workflow_id, "key"),
	CONSTRAINT uq_triggers_path_workspace_id UNIQUE (path, workspace_id)
)

CREATE TABLE upload_pieces (
	upload_id VARCHAR(64) NOT NULL,
	start BIGINT NOT NULL,
	size BIGINT NOT NULL,
	object_id VARCHAR(64) NOT NULL,
	CONSTRAINT pk_upload_pieces PRIMARY KEY (upload_id, start)
)

CREATE TABLE uploads (
	id VARCHAR(64) NOT NULL,
	workspace_id VARCHAR(64) NOT NULL,
	name VARCHAR(255) NOT NULL,
	media_type VARCHAR(200) NOT NULL,
	size BIGINT NOT NULL,
	received BIGINT NOT NULL,
	file_id VARCHAR(64),
	created_at BIGINT NOT NULL,
	created_by VARCHAR(200) NOT NULL,
	expires_at BIGINT NOT NULL,
	CONSTRAINT pk_uploads PRIMARY KEY (id)
)

CREATE TABLE user_groups (
	id VARCHAR(64) NOT NULL,
	name VARCHAR(200) NOT NULL,
	description TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	updated_at BIGINT NOT NULL,
	CONSTRAINT pk_user_groups PRIMARY KEY (id),
	CONSTRAINT uq_user_groups_name UNIQUE (name)
)

CREATE TABLE users (
	id VARCHAR(64) NOT NULL,
	issuer VARCHAR(200) NOT NULL,
	subject VARCHAR(320) NOT NULL,
	email VARCHAR(320) NOT NULL,
	email_key VARCHAR(320) NOT NULL,
	name VARCHAR(255) NOT NULL,
	is_confirmed BOOLEAN NOT NULL,
	upstream_issuer VARCHAR(200),
	upstream_id VARCHAR(320),
	workspace_id VARCHAR(64),
	attributes TEXT NOT NULL,
	epoch INTEGER NOT NULL,
	created_at BIGINT NOT NULL,
	created_by VARCHAR(200) NOT NULL,
	updated_at BIGINT NOT NULL,
	signed_in_at BIGINT,
	disabled_at BIGINT,
	erased_at BIGINT,
	deleted_at BIGINT NOT NULL,
	CONSTRAINT pk_users PRIMARY KEY (id),
	CONSTRAINT uq_users_issuer_email_key_deleted_at UNIQUE (issuer, email_key, deleted_at),
	CONSTRAINT uq_users_issuer_subject_deleted_at UNIQUE (issuer, subject, deleted_at)
)

CREATE TABLE variables (
	id VARCHAR(64) NOT NULL,
	workspace_id VARCHAR(64) NOT NULL,
	name VARCHAR(200) NOT NULL,
	value TEXT NOT NULL,
	version INTEGER NOT NULL,
	updated_at BIGINT NOT NULL,
	CONSTRAINT pk_variables PRIMARY KEY (id),
	CONSTRAINT uq_variables_workspace_id_name UNIQUE (workspace_id, name)
)

CREATE TABLE waits (
	run_no INTEGER NOT NULL,
	"key" VARCHAR(400) NOT NULL,
	workspace_id VARCHAR(64) NOT NULL,
	name VARCHAR(200) NOT NULL,
	correlation VARCHAR(200),
	since BIGINT NOT NULL,
	CONSTRAINT pk_waits PRIMARY KEY (run_no, "key")
)

CREATE TABLE watched_files (
	trigger_id VARCHAR(64) NOT NULL,
	path_digest VARCHAR(64) NOT NULL,
	path TEXT NOT NULL,
	size BIGINT NOT NULL,
	modified_at BIGINT NOT NULL,
	changed_at BIGINT NOT NULL,
	event VARCHAR(10) NOT NULL,
	CONSTRAINT pk_watched_files PRIMARY KEY (trigger_id, path_digest)
)

CREATE TABLE watched_folders (
	trigger_id VARCHAR(64) NOT NULL,
	digest VARCHAR(64) NOT NULL,
	CONSTRAINT pk_watched_folders PRIMARY KEY (trigger_id)
)

CREATE TABLE workers (
	no INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
	name VARCHAR(200) NOT NULL,
	expires_at BIGINT NOT NULL,
	dead INTEGER NOT NULL
, role VARCHAR(20) DEFAULT 'worker' NOT NULL, version VARCHAR(40) DEFAULT '' NOT NULL, host VARCHAR(200) DEFAULT '' NOT NULL, pid INTEGER DEFAULT '0' NOT NULL, queues VARCHAR(400) DEFAULT '' NOT NULL, address VARCHAR(200), started_at BIGINT DEFAULT '0' NOT NULL)

CREATE TABLE workflow_drafts (
	workflow_id VARCHAR(64) NOT NULL,
	source BLOB NOT NULL,
	format VARCHAR(8) NOT NULL,
	etag VARCHAR(64) NOT NULL,
	based_on INTEGER,
	updated_at BIGINT NOT NULL,
	updated_by VARCHAR(200) NOT NULL,
	CONSTRAINT pk_workflow_drafts PRIMARY KEY (workflow_id),
	CONSTRAINT fk_workflow_drafts_workflow_id_workflows FOREIGN KEY(workflow_id) REFERENCES workflows (id)
)

CREATE TABLE workflow_set_members (
	set_id VARCHAR(64) NOT NULL,
	workflow_id VARCHAR(64) NOT NULL,
	position INTEGER NOT NULL,
	CONSTRAINT pk_workflow_set_members PRIMARY KEY (set_id, workflow_id),
	CONSTRAINT fk_workflow_set_members_set_id_workflow_sets FOREIGN KEY(set_id) REFERENCES workflow_sets (id),
	CONSTRAINT fk_workflow_set_members_workflow_id_workflows FOREIGN KEY(workflow_id) REFERENCES workflows (id)
)

CREATE TABLE workflow_sets (
	id VARCHAR(64) NOT NULL,
	workspace_id VARCHAR(64) NOT NULL,
	project_id VARCHAR(64),
	name VARCHAR(63) NOT NULL,
	title TEXT NOT NULL,
	description TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	created_by VARCHAR(200) NOT NULL,
	updated_at BIGINT NOT NULL,
	updated_by VARCHAR(200) NOT NULL,
	deleted_at BIGINT NOT NULL,
	CONSTRAINT pk_workflow_sets PRIMARY KEY (id),
	CONSTRAINT uq_workflow_sets_workspace_id_name_deleted_at UNIQUE (workspace_id, name, deleted_at)
)

CREATE TABLE workflow_versions (
	workflow_id VARCHAR(64) NOT NULL,
	version INTEGER NOT NULL,
	digest VARCHAR(32) NOT NULL,
	source BLOB NOT NULL,
	format VARCHAR(8) NOT NULL,
	note TEXT NOT NULL,
	published_at BIGINT NOT NULL,
	published_by VARCHAR(200) NOT NULL,
	CONSTRAINT pk_workflow_versions PRIMARY KEY (workflow_id, version),
	CONSTRAINT fk_workflow_versions_workflow_id_workflows FOREIGN KEY(workflow_id) REFERENCES workflows (id)
)

CREATE TABLE workflows (
	id VARCHAR(64) NOT NULL,
	workspace_id VARCHAR(64) NOT NULL,
	name VARCHAR(63) NOT NULL,
	title TEXT NOT NULL,
	description TEXT NOT NULL,
	category VARCHAR(100) NOT NULL,
	active BOOLEAN NOT NULL,
	public BOOLEAN NOT NULL,
	labels TEXT NOT NULL,
	current_version INTEGER,
	deprecated_at BIGINT,
	created_at BIGINT NOT NULL,
	created_by VARCHAR(200) NOT NULL,
	updated_at BIGINT NOT NULL,
	updated_by VARCHAR(200) NOT NULL,
	deleted_at BIGINT NOT NULL, project_id VARCHAR(64), overrides TEXT, revision INTEGER DEFAULT '1' NOT NULL,
	CONSTRAINT pk_workflows PRIMARY KEY (id),
	CONSTRAINT uq_workflows_workspace_id_name_deleted_at UNIQUE (workspace_id, name, deleted_at)
)

CREATE TABLE workspaces (
	id VARCHAR(64) NOT NULL,
	name VARCHAR(63) NOT NULL,
	title TEXT NOT NULL,
	description TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	created_by VARCHAR(200) NOT NULL,
	updated_at BIGINT NOT NULL,
	updated_by VARCHAR(200) NOT NULL,
	deleted_at BIGINT NOT NULL,
	CONSTRAINT pk_workspaces PRIMARY KEY (id),
	CONSTRAINT uq_workspaces_name_deleted_at UNIQUE (name, deleted_at)
)

CREATE INDEX ix_account_letters_due_at ON account_letters (due_at)

CREATE INDEX ix_api_keys_user_id ON api_keys (user_id)

CREATE INDEX ix_api_keys_workspace_id_id ON api_keys (workspace_id, id)

CREATE INDEX ix_audit_rows_action ON audit_rows (action)

CREATE INDEX ix_audit_rows_actor ON audit_rows (actor)

CREATE INDEX ix_audit_rows_at ON audit_rows (at)

CREATE INDEX ix_audit_rows_entity_entity_id ON audit_rows (entity, entity_id)

CREATE INDEX ix_audit_rows_workspace_id_no ON audit_rows (workspace_id, no)

CREATE INDEX ix_batches_finished_at_held_until ON batches (finished_at, held_until)

CREATE INDEX ix_event_deliveries_due_at ON event_deliveries (due_at)

CREATE INDEX ix_event_deliveries_ended_at ON event_deliveries (ended_at)

CREATE INDEX ix_event_subscriptions_workspace_id ON event_subscriptions (workspace_id)

CREATE INDEX ix_events_matched_at ON events (matched, at)

CREATE INDEX ix_events_workspace_id_name_correlation_at ON events (workspace_id, name, correlation, at)

CREATE INDEX ix_external_identities_user_id ON external_identities (user_id)

CREATE INDEX ix_files_workspace_id_created_at ON files (workspace_id, created_at)

CREATE INDEX ix_group_members_user_id ON group_members (user_id)

CREATE INDEX ix_jobs_owner ON jobs (owner)

CREATE INDEX ix_jobs_queue_status_workspace_id_priority_at ON jobs (queue, status, workspace_id, priority, at)

CREATE INDEX ix_kept_answers_asked_at ON kept_answers (asked_at)

CREATE INDEX ix_notifications_user_id_created_at ON notifications (user_id, created_at)

CREATE INDEX ix_one_time_links_expires_at ON one_time_links (expires_at)

CREATE INDEX ix_one_time_links_user_id ON one_time_links (user_id)

CREATE INDEX ix_outbox_dead_at ON outbox (dead_at)

CREATE INDEX ix_outbox_due_at ON outbox (due_at)

CREATE INDEX ix_outbox_published_at ON outbox (published_at)

CREATE INDEX ix_person_keys_key_id ON person_keys (key_id)

CREATE INDEX ix_queue_due_at ON queue (due_at)

CREATE INDEX ix_queue_scope_due_at_priority_since ON queue (scope, due_at, priority, since)

CREATE INDEX ix_queue_workspace_id_suspect_priority_due_at ON queue (workspace_id, suspect, priority, due_at)

CREATE INDEX ix_refresh_tokens_expires_at ON refresh_tokens (expires_at)

CREATE INDEX ix_refresh_tokens_session_id ON refresh_tokens (session_id)

CREATE INDEX ix_role_assignments_role ON role_assignments (role)

CREATE INDEX ix_role_assignments_workspace_id ON role_assignments (workspace_id)

CREATE INDEX ix_run_blobs_blob ON run_blobs (blob)

CREATE INDEX ix_run_labels_workspace_id_key_value_started_at ON run_labels (workspace_id, "key", value, started_at)

CREATE INDEX ix_runs_finished_at ON runs (finished_at)

CREATE INDEX ix_runs_owner ON runs (owner)

CREATE INDEX ix_runs_workflow_id_started_at_no ON runs (workflow_id, started_at, no)

CREATE INDEX ix_runs_workspace_id_actor_started_at_no ON runs (workspace_id, actor, started_at, no) WHERE substr(actor, 1, 8) = 'trigger:'

CREATE INDEX ix_runs_workspace_id_error_code_started_at_no ON runs (workspace_id, error_code, started_at, no) WHERE error_code IS NOT NULL

CREATE INDEX ix_runs_workspace_id_started_at_no ON runs (workspace_id, started_at, no)

CREATE INDEX ix_runs_workspace_id_status_started_at_no ON runs (workspace_id, status, started_at, no) WHERE finished_at IS NOT NULL

CREATE INDEX ix_runs_workspace_id_subject_started_at_no ON runs (workspace_id, subject, started_at, no) WHERE subject IS NOT NULL

CREATE INDEX ix_runs_workspace_id_version_started_at_no ON runs (workspace_id, version, started_at, no) WHERE version IS NOT NULL

CREATE INDEX ix_schedule_slots_due_at ON schedule_slots (due_at)

CREATE INDEX ix_schedules_next_at ON schedules (next_at)

CREATE INDEX ix_schedules_workspace_id_calendar ON schedules (workspace_id, calendar)

CREATE INDEX ix_secrets_key_id ON secrets (key_id)

CREATE INDEX ix_sessions_expires_at ON sessions (expires_at)

CREATE INDEX ix_sessions_user_id ON sessions (user_id)

CREATE INDEX ix_sign_in_failures_since ON sign_in_failures (since)

CREATE INDEX ix_slots_run_no ON slots (run_no)

CREATE INDEX ix_spent_sign_ins_expires_at ON spent_sign_ins (expires_at)

CREATE INDEX ix_step_logs_run_no_no ON step_logs (run_no, no)

CREATE INDEX ix_trigger_events_trigger_id_id ON trigger_events (trigger_id, id)

CREATE INDEX ix_trigger_requests_trigger_id_no ON trigger_requests (trigger_id, no)

CREATE INDEX ix_triggers_kind_is_live ON triggers (kind, is_live)

CREATE INDEX ix_triggers_workspace_id_workflow_id ON triggers (workspace_id, workflow_id)

CREATE INDEX ix_uploads_expires_at ON uploads (expires_at)

CREATE INDEX ix_users_email_key ON users (email_key)

CREATE INDEX ix_users_name ON users (name)

CREATE INDEX ix_waits_workspace_id_name_correlation ON waits (workspace_id, name, correlation)

CREATE INDEX ix_workflow_set_members_workflow_id ON workflow_set_members (workflow_id)

CREATE INDEX ix_workflow_versions_digest ON workflow_versions (digest)

CREATE INDEX ix_workflows_workspace_id_deleted_at ON workflows (workspace_id, deleted_at)

CREATE INDEX ix_workflows_workspace_id_project_id ON workflows (workspace_id, project_id)

CREATE INDEX ix_workflows_workspace_id_updated_at ON workflows (workspace_id, updated_at)

INSERT INTO "alembic_version" ("version_num") VALUES ('0013')

INSERT INTO "identity_changes" ("id", "number") VALUES (1, 1)

INSERT INTO "schema_compatibility" ("oldest") VALUES ('0002')

INSERT INTO "workspaces" ("id", "name", "title", "description", "created_at", "created_by", "updated_at", "updated_by", "deleted_at") VALUES ('ws_00000000000000000000000000', 'default', 'Default', '', 0, 'system', 0, 'system', 253402214400000)

CREATE TRIGGER audit_checkpoints_delete BEFORE DELETE ON audit_checkpoints FOR EACH ROW WHEN 1 = 1 BEGIN SELECT RAISE(ABORT, 'audit rows are append-only'); END

CREATE TRIGGER audit_checkpoints_insert BEFORE INSERT ON audit_checkpoints FOR EACH ROW WHEN EXISTS (SELECT 1 FROM audit_checkpoints t WHERE t.no = NEW.no) BEGIN SELECT RAISE(ABORT, 'audit rows are append-only'); END

CREATE TRIGGER audit_checkpoints_update BEFORE UPDATE ON audit_checkpoints FOR EACH ROW WHEN 1 = 1 BEGIN SELECT RAISE(ABORT, 'audit rows are append-only'); END

CREATE TRIGGER audit_head_update BEFORE UPDATE ON audit_head FOR EACH ROW WHEN NEW.retired_up_to <> OLD.retired_up_to AND (NEW.retired_up_to < OLD.retired_up_to OR NOT EXISTS (SELECT 1 FROM audit_checkpoints c WHERE c.no = NEW.retired_up_to)) BEGIN SELECT RAISE(ABORT, 'the mark of retention goes to a checkpoint, and never back'); END

CREATE TRIGGER audit_rows_delete BEFORE DELETE ON audit_rows FOR EACH ROW WHEN OLD.no > COALESCE((SELECT MAX(retired_up_to) FROM audit_head), 0) BEGIN SELECT RAISE(ABORT, 'audit rows are append-only'); END

CREATE TRIGGER audit_rows_insert BEFORE INSERT ON audit_rows FOR EACH ROW WHEN EXISTS (SELECT 1 FROM audit_rows t WHERE t.no = NEW.no) BEGIN SELECT RAISE(ABORT, 'audit rows are append-only'); END

CREATE TRIGGER audit_rows_update BEFORE UPDATE ON audit_rows FOR EACH ROW WHEN 1 = 1 BEGIN SELECT RAISE(ABORT, 'audit rows are append-only'); END
