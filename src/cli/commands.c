/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"
#include "cli/hint_opts.h"
#include "cli/vm.h"

/* The table of contents of the program. */

static const struct opt format_rows[] = {
	{ "format", 0, OPT_TEXT, "FORMAT", "table, json, or a template like '{{.name}}'" },
};
const struct opt_table format_options = OPT_TABLE(format_rows);

static const struct opt csv_format_rows[] = {
	{ "format", 0, OPT_TEXT, "FORMAT", "table, json, csv, or a template like '{{.name}}'" },
};
const struct opt_table csv_format_options = OPT_TABLE(csv_format_rows);

static const struct opt quiet_rows[] = {
	{ "quiet", 'q', OPT_FLAG, NULL, "Only names or ids" },
	{ "no-trunc", 0, OPT_FLAG, NULL, "Do not shorten" },
};
const struct opt_table quiet_options = OPT_TABLE(quiet_rows);

static const struct opt list_rows[] = {
	{ "all", 'a', OPT_FLAG, NULL, "Those that have exited too" },
	{ "filter", 'f', OPT_LIST, "KEY=VALUE", "Only those: name=, state=, kind=, user=, image=" },
};
static const struct opt_table list_options = OPT_TABLE(list_rows);

static const struct opt start_rows[] = {
	{ "attach", 'a', OPT_FLAG, NULL, "Show its output and take its exit code" },
	{ "interactive", 'i', OPT_FLAG, NULL, "Give it this stdin" },
	{ "detach", 'd', OPT_FLAG, NULL, "Do not wait for a place in the queue" },
	{ "detach-keys", 0, OPT_TEXT, "KEYS", "Keys that detach (ctrl-p,ctrl-q)" },
	{ "no-wait", 0, OPT_FLAG, NULL, "Fail instead of waiting in the queue" },
	{ "wait-timeout", 0, OPT_DURATION, "TIME", "Wait in the queue this long at most" },
};
static const struct opt_table start_options = OPT_TABLE(start_rows);

static const struct opt attach_rows[] = {
	{ "no-stdin", 0, OPT_FLAG, NULL, "Show only" },
	{ "detach-keys", 0, OPT_TEXT, "KEYS", "Keys that detach (ctrl-p,ctrl-q)" },
};
static const struct opt_table attach_options = OPT_TABLE(attach_rows);

static const struct opt console_rows[] = {
	{ "start", 0, OPT_FLAG, NULL, "Start it first" },
};
static const struct opt_table console_options = OPT_TABLE(console_rows);

static const struct opt exec_rows[] = {
	{ "interactive", 'i', OPT_FLAG, NULL, "Give it this stdin" },
	{ "tty", 't', OPT_FLAG, NULL, "Give it a terminal", "Tty" },
	{ "detach", 'd', OPT_FLAG, NULL, "Do not wait for it" },
	{ "env", 'e', OPT_LIST, "NAME=VALUE", "Set a variable", "Env" },
	{ "user", 'u', OPT_TEXT, "USER[:GROUP]", "Run as this user", "User" },
	{ "workdir", 'w', OPT_TEXT, "DIR", "Working folder inside", "WorkingDir" },
	{ "privileged", 0, OPT_FLAG, NULL, "Give it all rights", "Privileged" },
	{ "detach-keys", 0, OPT_TEXT, "KEYS", "Keys that detach (ctrl-p,ctrl-q)", "DetachKeys" },
};
static const struct opt_table exec_options = OPT_TABLE(exec_rows);

static const struct opt stop_rows[] = {
	{ "time", 't', OPT_INT, "SECONDS", "Time before it is killed", .alias = "timeout" },
	{ "signal", 's', OPT_TEXT, "SIGNAL", "Signal to send first" },
};
static const struct opt_table stop_options = OPT_TABLE(stop_rows);

static const struct opt kill_rows[] = {
	{ "signal", 's', OPT_TEXT, "SIGNAL", "Signal to send (KILL)" },
};
static const struct opt_table kill_options = OPT_TABLE(kill_rows);

static const struct opt rm_rows[] = {
	{ "force", 'f', OPT_FLAG, NULL, "End it first" },
	{ "volumes", 'v', OPT_FLAG, NULL, "Its anonymous volumes too" },
};
static const struct opt_table rm_options = OPT_TABLE(rm_rows);

static const struct opt wait_rows[] = {
	{ "condition", 0, OPT_TEXT, "WHAT", "not-running (default), next-exit, removed",
	  .choices = "not-running next-exit removed" },
	{ "until", 0, OPT_TEXT, "STATE", "running, exited, removed or healthy (by its check)",
	  .choices = "running exited removed healthy" },
};
static const struct opt_table wait_options = OPT_TABLE(wait_rows);

static const struct opt logs_rows[] = {
	{ "follow", 'f', OPT_FLAG, NULL, "Go on as it writes" },
	{ "tail", 'n', OPT_TEXT, "LINES", "Only the last lines" },
	{ "timestamps", 't', OPT_FLAG, NULL, "With the time of each line" },
	{ "since", 0, OPT_TEXT, "TIME", "Not before: 10m, a date, or seconds since 1970" },
	{ "until", 0, OPT_TEXT, "TIME", "Not after" },
};
static const struct opt_table logs_options = OPT_TABLE(logs_rows);

static const struct opt events_rows[] = {
	{ "since", 0, OPT_TEXT, "TIME", "From then: 10m, a date, or seconds since 1970" },
	{ "until", 0, OPT_TEXT, "TIME", "Up to then" },
	{ "filter", 'f', OPT_LIST, "KEY=VALUE", "Only those: type=, event=, container=, image=" },
};
static const struct opt_table events_options = OPT_TABLE(events_rows);

static const struct opt stats_rows[] = {
	{ "no-stream", 0, OPT_FLAG, NULL, "Once, without renewing" },
};
static const struct opt_table stats_options = OPT_TABLE(stats_rows);

static const struct opt inspect_rows[] = {
	{ "format", 'f', OPT_TEXT, "FORMAT", "json, or a template like '{{.State.Status}}'" },
	{ "type", 0, OPT_TEXT, "KIND", "container, image, volume or network",
	  .choices = "container image volume network" },
};
static const struct opt_table inspect_options = OPT_TABLE(inspect_rows);

static const struct opt login_rows[] = {
	{ "username", 'u', OPT_TEXT, "USER", "User name there" },
	{ "password", 'p', OPT_TEXT, "PASSWORD",
	  "Password; others can see it in the process list" },
	{ "password-stdin", 0, OPT_FLAG, NULL, "Read the password from stdin" },
};
static const struct opt_table login_options = OPT_TABLE(login_rows);

static const struct opt pull_rows[] = {
	{ "quiet", 'q', OPT_FLAG, NULL, "No progress" },
	{ "platform", 0, OPT_TEXT, "OS/ARCH", "Another platform than this host's" },
};
static const struct opt_table pull_options = OPT_TABLE(pull_rows);

static const struct opt push_rows[] = {
	{ "quiet", 'q', OPT_FLAG, NULL, "No progress" },
};
static const struct opt_table push_options = OPT_TABLE(push_rows);

static const struct opt load_rows[] = {
	{ "input", 'i', OPT_TEXT, "FILE", "Read this file instead of stdin", .what = WHAT_FILE },
	{ "quiet", 'q', OPT_FLAG, NULL, "No progress" },
};
static const struct opt_table load_options = OPT_TABLE(load_rows);

static const struct opt output_rows[] = {
	{ "output", 'o', OPT_TEXT, "FILE", "Write this file instead of stdout", .what = WHAT_FILE },
};
static const struct opt_table output_options = OPT_TABLE(output_rows);

static const struct opt import_rows[] = {
	{ "change", 'c', OPT_LIST, "LINE", "Line of a Dockerfile, \"CMD sh\"" },
	{ "message", 'm', OPT_TEXT, "TEXT", "What happened" },
};
static const struct opt_table import_options = OPT_TABLE(import_rows);

static const struct opt images_rows[] = {
	{ "all", 'a', OPT_FLAG, NULL, "Those without a name too" },
};
static const struct opt_table images_options = OPT_TABLE(images_rows);

static const struct opt force_rows[] = {
	{ "force", 'f', OPT_FLAG, NULL, "Though it is used" },
};
static const struct opt_table force_options = OPT_TABLE(force_rows);

static const struct opt volume_rows[] = {
	{ "label", 'l', OPT_MAP, "KEY=VALUE", "Attach a label", "Labels" },
	{ "driver", 'd', OPT_TEXT, "NAME", "local", "Driver" },
	{ "opt", 'o', OPT_MAP, "KEY=VALUE", "Option of the driver", "DriverOpts" },
};
static const struct opt_table volume_options = OPT_TABLE(volume_rows);

static const struct opt kernel_rows[] = {
	{ "name", 0, OPT_TEXT, "NAME", "Its name; else from the file" },
	{ "modules", 0, OPT_TEXT, "DIR", "lib/modules/VERSION, for a vmlinuz", .what = WHAT_FILE },
};
static const struct opt_table kernel_options = OPT_TABLE(kernel_rows);

static const struct opt policy_rows[] = {
	{ "allocate", 0, OPT_TEXT, "ORDER/FILL", "Who is admitted next: sjf/easy, priority, easy",
	  "allocate" },
	{ "max-wait", 0, OPT_DURATION, "TIME", "Nothing passes who waited so long; 0: never",
	  "max_wait_ns" },
	{ "aging", 0, OPT_DURATION, "TIME",
	  "Order priority: waiting so long is worth one step; 0: nothing", "aging_ns" },
	{ "estimate", 0, OPT_TEXT, "SOURCE", "Expected run times that count", "estimate",
	  .choices = "learned given last-two" },
	{ "schedule", 0, OPT_TEXT, "POLICY", "Who runs now, when not all fit the cpus", "schedule",
	  .choices = "fcfs rr priority srtf mlfq fair" },
	{ "quantum", 0, OPT_DURATION, "TIME", "Time slice: 1ms to 1h (50ms)", "quantum_ns" },
	{ "turn", 0, OPT_DURATION, "TIME",
	  "Order rr: an allocation lasts so long while others wait; wants --spill", "turn_ns" },
	{ "spill", 0, OPT_FLAG, NULL,
	  "Move the memory of a descheduled instance to the disk; not yet possible", "spill" },
	{ "age", 0, OPT_DURATION, "TIME",
	  "Schedule priority: ready so long is worth one step (10s); 0: nothing", "age_ns" },
	{ "boost", 0, OPT_DURATION, "TIME",
	  "Schedule mlfq: so often all go back to the first level (10s); 0: never", "boost_ns" },
};
static const struct opt_table policy_options = OPT_TABLE(policy_rows);

#define ANY SIZE_MAX

static const struct command volume_subs[] = {
	{ "create", "[NAME]", "Make a volume", .tables = { &volume_options }, .max_args = 1,
	  .run = cmd_volume_create },
	{ "ls", "", "List volumes", .tables = { &format_options, &quiet_options },
	  .run = cmd_volume_ls },
	{ "rm", "NAME...", "Remove volumes", .tables = { &force_options }, .min_args = 1,
	  .max_args = ANY, .what = WHAT_VOLUME, .run = cmd_volume_rm },
	{ "inspect", "NAME...", "Everything about volumes", .min_args = 1, .max_args = ANY,
	  .what = WHAT_VOLUME, .run = cmd_volume_inspect },
};

static const struct command network_subs[] = {
	{ "create", "NAME", "Make a network: a bridge, apart from the others",
	  .tables = { &network_create_options }, .min_args = 1, .max_args = 1,
	  .run = cmd_network_create,
	  .details = "Its members find each other by name. Options of the driver:\n"
		     "com.docker.network.bridge.name, com.docker.network.driver.mtu,\n"
		     "com.docker.network.bridge.enable_ip_masquerade." },
	{ "ls", "", "List networks",
	  .tables = { &network_filter_options, &format_options, &quiet_options },
	  .run = cmd_network_ls },
	{ "rm", "NAME...", "Remove networks on which nothing runs", .min_args = 1, .max_args = ANY,
	  .what = WHAT_NETWORK, .run = cmd_network_rm },
	{ "inspect", "NAME...", "Everything about networks", .tables = { &format_options },
	  .min_args = 1, .max_args = ANY, .what = WHAT_NETWORK, .run = cmd_network_inspect },
	{ "connect", "NETWORK NAME", "Let an instance join, at once if it runs",
	  .tables = { &network_connect_options }, .min_args = 2, .max_args = 2,
	  .what = WHAT_NETWORK, .run = cmd_network_connect },
	{ "disconnect", "NETWORK NAME", "Let an instance leave, at once if it runs",
	  .tables = { &network_disconnect_options }, .min_args = 2, .max_args = 2,
	  .what = WHAT_NETWORK, .run = cmd_network_disconnect },
	{ "prune", "", "Remove all networks on which nothing runs",
	  .tables = { &network_filter_options }, .run = cmd_network_prune },
};

static const struct command vm_subs[] = {
	{ "create", "[NAME]", "Make a machine; hostel start starts it",
	  .tables = { &vm_options, &hint_options }, .max_args = 1, .run = cmd_vm_create,
	  .details =
	      "A --disk FILE is used in place, locked, and never deleted; FILE,overlay keeps it as "
	      "it\n"
	      "is under a disk of its own; new:20g is an empty one that goes with the machine.\n"
	      "Without disk and kernel the default kernel boots alone, so that hostel exec "
	      "works." },
	{ "ls", "", "List virtual machines of both kinds",
	  .tables = { &list_options, &format_options, &quiet_options }, .run = cmd_vm_ls },
};

static const struct command kernel_subs[] = {
	{ "add", "FILE", "Make a kernel bundle from a .deb or a vmlinuz",
	  .tables = { &kernel_options }, .min_args = 1, .max_args = 1, .what = WHAT_FILE,
	  .run = cmd_kernel_add },
	{ "ls", "", "List kernel bundles", .tables = { &format_options }, .run = cmd_kernel_ls },
	{ "rm", "NAME...", "Remove kernel bundles", .min_args = 1, .max_args = ANY,
	  .what = WHAT_KERNEL, .run = cmd_kernel_rm },
};

static const struct command config_subs[] = {
	{ "show", "", "Each effective setting of hosteld and where it came from",
	  .tables = { &format_options }, .run = cmd_config_show },
};

static const struct command policy_subs[] = {
	{ "show", "", "The policies in force", .tables = { &format_options },
	  .run = cmd_policy_show },
	{ "set", "", "Change policies, at once and for later starts of hosteld",
	  .tables = { &policy_options, &format_options }, .run = cmd_policy_set,
	  .details =
	      "Allocation, who is admitted next, is ORDER/FILL. Orders: fcfs, sjf, saf, laf, rr, "
	      "priority,\n"
	      "wfp3, f1, drf, edf. Fills, what may start when the first does not fit: strict, "
	      "list, "
	      "easy,\n"
	      "easy-sjf, conservative. An order alone is strict, easy alone is fcfs/easy." },
};

static const struct opt queue_rows[] = {
	{ "watch", 0, OPT_FLAG, NULL, "Again each second" },
};
static const struct opt_table queue_options = OPT_TABLE(queue_rows);

static const struct command queue_subs[] = {
	{ "hold", "NAME...", "Pass over those that wait, until they are released", .min_args = 1,
	  .max_args = ANY, .what = WHAT_WAITING, .run = cmd_queue_hold,
	  .details = "A held one keeps its place and blocks nobody." },
	{ "release", "NAME...", "Let held ones start in their turn", .min_args = 1, .max_args = ANY,
	  .what = WHAT_WAITING, .run = cmd_queue_release },
	{ "cancel", "NAME...", "Withdraw the starts of those that wait", .min_args = 1,
	  .max_args = ANY, .what = WHAT_WAITING, .run = cmd_queue_cancel,
	  .details = "As a stop while they wait: the instances stay, unless made with --rm." },
	{ "move", "NAME", "Say where one that waits stands", .tables = { &queue_move_options },
	  .min_args = 1, .max_args = 1, .what = WHAT_WAITING, .run = cmd_queue_move,
	  .details = "It and all who then stand before it keep that order until they start, "
		     "whatever the\n"
		     "policy says and whoever comes later." },
};

static const struct command snapshot_subs[] = {
	{ "create", "NAME [SNAP]", "Keep its disk as it is now",
	  .tables = { &snapshot_create_options, &format_options }, .min_args = 1, .max_args = 2,
	  .what = WHAT_INSTANCE, .run = cmd_snapshot_create,
	  .details = "It runs on; while its disk is copied it stands still. Volumes are no part "
		     "of it.\n"
		     "A snapshot goes with its instance." },
	{ "ls", "[NAME]", "List snapshots", .tables = { &format_options }, .max_args = 1,
	  .what = WHAT_INSTANCE, .run = cmd_snapshot_ls },
	{ "rm", "NAME SNAP...", "Remove snapshots", .min_args = 2, .max_args = ANY,
	  .what = WHAT_INSTANCE, .run = cmd_snapshot_rm },
	{ "restore", "NAME SNAP", "Put its disk back, or make a new instance with it",
	  .tables = { &snapshot_restore_options, &format_options }, .min_args = 2, .max_args = 2,
	  .what = WHAT_INSTANCE, .run = cmd_snapshot_restore,
	  .details = "A stateful one goes on where it was. Limits, networks and the name stay as "
		     "they are now." },
	{ "export", "NAME SNAP FILE", "Write a snapshot to a file; - is stdout", .min_args = 3,
	  .max_args = 3, .what = WHAT_INSTANCE, .run = cmd_snapshot_export },
	{ "import", "FILE", "Make an instance from such a file; - is stdin",
	  .tables = { &snapshot_import_options, &format_options }, .min_args = 1, .max_args = 1,
	  .what = WHAT_FILE, .run = cmd_snapshot_import,
	  .details = "Its image must be here. It is not started; what ran in it comes back by "
		     "hostel restore." },
};

static const struct command backup_subs[] = {
	{ "create", "NAME FILE", "Configuration, disk and named volumes to a file; - is stdout",
	  .min_args = 2, .max_args = 2, .what = WHAT_INSTANCE, .run = cmd_backup_create,
	  .details = "Its disk is that of one moment; volumes are read while others may write "
		     "to them." },
	{ "restore", "FILE", "Make the instance and its volumes again; - is stdin",
	  .tables = { &snapshot_import_options, &format_options }, .min_args = 1, .max_args = 1,
	  .what = WHAT_FILE, .run = cmd_backup_restore,
	  .details = "Neither may be there already." },
};

static const struct command migrate_subs[] = {
	{ "resolve", "NAME", "Say where one in doubt is", .tables = { &resolve_options },
	  .min_args = 1, .max_args = 1, .what = WHAT_INSTANCE, .run = cmd_migrate_resolve,
	  .details = "For one whose hand-over was cut between the last word and its answer, while "
		     "the link stays cut:\n"
		     "--here runs it on this host, --there leaves it to the other. Look at both "
		     "hosts first. Once they\n"
		     "can talk again only one keeps running." },
};

static const struct command trust_subs[] = {
	{ "add", "NAME CERT|-", "Trust another host, by its certificate", .min_args = 2,
	  .max_args = 2, .what = WHAT_FILE, .run = cmd_trust_add,
	  .details = "NAME is a name of your own. CERT is a file, or - for standard input: what "
		     "hostel trust show\n"
		     "prints on that host. Whoever has its key may send instances here, and is "
		     "sent some." },
	{ "ls", "", "Hosts that are trusted", .tables = { &format_options }, .run = cmd_trust_ls },
	{ "rm", "NAME...", "Trust hosts no more", .min_args = 1, .max_args = ANY,
	  .what = WHAT_TRUSTED, .run = cmd_trust_rm },
	{ "show", "", "This host's own certificate, for trust add on another one",
	  .tables = { &format_options }, .run = cmd_trust_show,
	  .details = "The certificate goes to standard output, its fingerprint to standard "
		     "error." },
};

static const struct command quota_subs[] = {
	{ "set", "USER", "Limit what a user's instances may hold together",
	  .tables = { &quota_set_options }, .min_args = 1, .max_args = 1, .what = WHAT_USER,
	  .run = cmd_quota_set,
	  .details = "USER is a name or a uid: of whoever created the instances. Limits that are "
		     "not named stay.\n"
		     "What is above them waits (reason quota); what never fits is refused; what "
		     "runs goes on." },
	{ "ls", "", "Quotas, and what is held of them", .tables = { &format_options },
	  .run = cmd_quota_ls },
	{ "rm", "USER...", "Remove quotas", .min_args = 1, .max_args = ANY, .what = WHAT_USER,
	  .run = cmd_quota_rm },
};

#define RUN    "Run"
#define LOOK   "Look"
#define IMAGES "Images"
#define HOST   "This host"

static const struct command commands[] = {
	{ "run", "IMAGE [COMMAND [ARG...]]", "Create and start an instance of an image", RUN,
	  .tables = { &session_options, &create_options, &hint_options }, .min_args = 1,
	  .max_args = ANY, .stops_at_first = true, .what = WHAT_IMAGE, .run = cmd_run,
	  .details =
	      "Exit code: the command's; 128 + N when signal N ended it; 127 when it does not "
	      "exist,\n"
	      "126 when it cannot be run, 125 when hostel itself failed or gave up waiting." },
	{ "create", "IMAGE [COMMAND [ARG...]]", "Create an instance, not started", RUN,
	  .tables = { &create_options, &hint_options }, .min_args = 1, .max_args = ANY,
	  .stops_at_first = true, .what = WHAT_IMAGE, .run = cmd_create },
	{ "start", "NAME...", "Start instances", RUN, .tables = { &start_options }, .min_args = 1,
	  .max_args = ANY, .what = WHAT_INSTANCE, .run = cmd_start },
	{ "stop", "NAME...", "Ask instances to end, then make them", RUN,
	  .tables = { &stop_options }, .min_args = 1, .max_args = ANY, .what = WHAT_INSTANCE,
	  .run = cmd_stop },
	{ "kill", "NAME...", "Send a signal", RUN, .tables = { &kill_options }, .min_args = 1,
	  .max_args = ANY, .what = WHAT_INSTANCE, .run = cmd_kill },
	{ "restart", "NAME...", "Stop and start", RUN, .tables = { &stop_options }, .min_args = 1,
	  .max_args = ANY, .what = WHAT_INSTANCE, .run = cmd_restart },
	{ "pause", "NAME...", "Freeze", RUN, .min_args = 1, .max_args = ANY, .what = WHAT_INSTANCE,
	  .run = cmd_pause },
	{ "unpause", "NAME...", "Go on", RUN, .min_args = 1, .max_args = ANY, .what = WHAT_INSTANCE,
	  .run = cmd_unpause },
	{ "rm", "NAME...", "Remove instances", RUN, .tables = { &rm_options }, .min_args = 1,
	  .max_args = ANY, .what = WHAT_INSTANCE, .run = cmd_rm },
	{ "wait", "NAME...", "Wait for the end and print the exit codes", RUN,
	  .tables = { &wait_options }, .min_args = 1, .max_args = ANY, .what = WHAT_INSTANCE,
	  .run = cmd_wait,
	  .details = "--until running and --until healthy print the names of those that are, and "
		     "fail with 1 for one\n"
		     "that has ended for good; the others print exit codes, as docker wait does." },
	{ "rename", "NAME NEW", "Give another name", RUN, .min_args = 2, .max_args = 2,
	  .what = WHAT_INSTANCE, .run = cmd_rename },
	{ "update", "NAME...", "Change limits and restart policy", RUN,
	  .tables = { &update_options }, .min_args = 1, .max_args = ANY, .what = WHAT_INSTANCE,
	  .run = cmd_update },
	{ "exec", "NAME COMMAND [ARG...]", "Run a command in a running instance", RUN,
	  .tables = { &exec_options }, .min_args = 2, .max_args = ANY, .stops_at_first = true,
	  .what = WHAT_INSTANCE, .run = cmd_exec },
	{ "attach", "NAME", "Join its stdin and output", RUN, .tables = { &attach_options },
	  .min_args = 1, .max_args = 1, .what = WHAT_INSTANCE, .run = cmd_attach },
	{ "console", "NAME", "A machine's serial console; leave with Ctrl-]", RUN,
	  .tables = { &console_options }, .min_args = 1, .max_args = 1, .what = WHAT_INSTANCE,
	  .run = cmd_console },
	{ "snapshot", "COMMAND", "Disks, and all that runs, as they are at a moment", RUN,
	  .subs = snapshot_subs, .n_subs = ARRAY_SIZE(snapshot_subs) },
	{ "checkpoint", "NAME", "Keep its disk and all that runs in it, and end it", RUN,
	  .tables = { &checkpoint_options, &format_options }, .min_args = 1, .max_args = 1,
	  .what = WHAT_INSTANCE, .run = cmd_checkpoint },
	{ "restore", "NAME[@SNAP]", "Let it go on from its newest checkpoint", RUN,
	  .tables = { &snapshot_restore_options, &format_options }, .min_args = 1, .max_args = 1,
	  .what = WHAT_INSTANCE, .run = cmd_restore },
	{ "fork", "NAME", "Running copies of what runs, NAME-1 and so on", RUN,
	  .tables = { &fork_options, &format_options }, .min_args = 1, .max_args = 1,
	  .what = WHAT_INSTANCE, .run = cmd_fork,
	  .details = "Each has a name, an id and addresses of its own. Ports of the host stay "
		     "the original's:\n"
		     "copies get free ones." },
	{ "backup", "COMMAND", "Instances with their volumes, as files", RUN, .subs = backup_subs,
	  .n_subs = ARRAY_SIZE(backup_subs) },
	{ "vm", "COMMAND", "Machines with disks and kernels of their own", RUN, .subs = vm_subs,
	  .n_subs = ARRAY_SIZE(vm_subs) },

	{ "ps", "", "List instances that have not exited, and what queued ones wait for", LOOK,
	  .tables = { &list_options, &format_options, &quiet_options }, .run = cmd_ps },
	{ "logs", "NAME", "What it wrote", LOOK, .tables = { &logs_options }, .min_args = 1,
	  .max_args = 1, .what = WHAT_INSTANCE, .run = cmd_logs },
	{ "top", "NAME [PS-OPTION...]", "Its processes", LOOK, .min_args = 1, .max_args = ANY,
	  .stops_at_first = true, .what = WHAT_INSTANCE, .run = cmd_top },
	{ "stats", "[NAME...]", "What it uses", LOOK, .tables = { &stats_options, &format_options },
	  .max_args = ANY, .what = WHAT_INSTANCE, .run = cmd_stats },
	{ "inspect", "NAME...", "Everything about an instance, image, volume or network", LOOK,
	  .tables = { &inspect_options }, .min_args = 1, .max_args = ANY, .what = WHAT_INSTANCE,
	  .run = cmd_inspect },
	{ "diff", "NAME", "Files that it changed", LOOK, .tables = { &format_options },
	  .min_args = 1, .max_args = 1, .what = WHAT_INSTANCE, .run = cmd_diff },
	{ "port", "NAME [PORT]", "Its published ports", LOOK, .min_args = 1, .max_args = 2,
	  .what = WHAT_INSTANCE, .run = cmd_port },
	{ "events", "", "What happens, as it happens", LOOK,
	  .tables = { &events_options, &format_options }, .run = cmd_events },
	{ "cp", "SOURCE TARGET", "Copy files in or out; NAME:PATH is inside, - is a tar stream",
	  LOOK, .min_args = 2, .max_args = 2, .what = WHAT_FILE, .run = cmd_cp },
	{ "export", "NAME", "Its whole file system as a tarball", LOOK,
	  .tables = { &output_options }, .min_args = 1, .max_args = 1, .what = WHAT_INSTANCE,
	  .run = cmd_export },

	{ "images", "[REFERENCE]", "List images", IMAGES,
	  .tables = { &images_options, &format_options, &quiet_options }, .max_args = 1,
	  .what = WHAT_IMAGE, .run = cmd_images },
	{ "login", "[REGISTRY]", "Keep credentials for a registry, as docker login does", IMAGES,
	  .tables = { &login_options }, .max_args = 1, .run = cmd_login },
	{ "logout", "[REGISTRY]", "Forget them", IMAGES, .max_args = 1, .run = cmd_logout },
	{ "pull", "IMAGE", "Fetch an image from a registry", IMAGES, .tables = { &pull_options },
	  .min_args = 1, .max_args = 1, .what = WHAT_IMAGE, .run = cmd_pull },
	{ "push", "IMAGE", "Send an image to a registry", IMAGES, .tables = { &push_options },
	  .min_args = 1, .max_args = 1, .what = WHAT_IMAGE, .run = cmd_push },
	{ "load", "[FILE]", "Read images from an archive (docker save, OCI)", IMAGES,
	  .tables = { &load_options }, .max_args = 1, .what = WHAT_FILE, .run = cmd_load },
	{ "save", "IMAGE...", "Write images to an archive", IMAGES, .tables = { &output_options },
	  .min_args = 1, .max_args = ANY, .what = WHAT_IMAGE, .run = cmd_save },
	{ "import", "FILE [IMAGE]", "Make an image from a tarball", IMAGES,
	  .tables = { &import_options }, .min_args = 1, .max_args = 2, .what = WHAT_FILE,
	  .run = cmd_import },
	{ "rmi", "IMAGE...", "Remove images", IMAGES, .tables = { &force_options }, .min_args = 1,
	  .max_args = ANY, .what = WHAT_IMAGE, .run = cmd_rmi },
	{ "tag", "IMAGE NAME", "Give an image another name", IMAGES, .min_args = 2, .max_args = 2,
	  .what = WHAT_IMAGE, .run = cmd_tag },
	{ "history", "IMAGE", "How an image was made", IMAGES,
	  .tables = { &format_options, &quiet_options }, .min_args = 1, .max_args = 1,
	  .what = WHAT_IMAGE, .run = cmd_history },

	{ "queue", "[COMMAND]", "What waits, in order, and for what", HOST,
	  .tables = { &queue_options, &csv_format_options, &quiet_options }, .subs = queue_subs,
	  .n_subs = ARRAY_SIZE(queue_subs), .run = cmd_queue },
	{ "drain", "", "Start nothing new on this host, before maintenance", HOST,
	  .tables = { &drain_options }, .run = cmd_drain,
	  .details = "What runs goes on until it ends; what waits stays in the queue, and so does "
		     "what a restart\n"
		     "policy would start again. It lasts until hostel drain --off, over restarts "
		     "of hosteld and of the host." },
	{ "fit", "[FILE]", "What would be admitted and what would wait, before anyone switches",
	  HOST, .tables = { &fit_options, &csv_format_options }, .max_args = 1, .what = WHAT_FILE,
	  .run = cmd_fit,
	  .details =
	      "FILE is a compose file, read by docker compose, or, as NAME.json or - for stdin, "
	      "what\n"
	      "docker compose config --format json prints. Each service gets the checks of a "
	      "create "
	      "and of a\n"
	      "start, then the scheduler decides on a copy of the queue as it is now; nothing "
	      "changes. Exit\n"
	      "code: 0 all would start at once, 1 some would wait, 2 some could never start, 125 "
	      "it failed." },
	{ "quota", "COMMAND", "What users may hold", HOST, .subs = quota_subs,
	  .n_subs = ARRAY_SIZE(quota_subs) },
	{ "migrate", "NAME TO", "Move an instance to another host", HOST,
	  .tables = { &migrate_options }, .subs = migrate_subs, .n_subs = ARRAY_SIZE(migrate_subs),
	  .min_args = 2, .max_args = 2, .what = WHAT_INSTANCE, .run = cmd_migrate,
	  .details = "TO is where that host's hosteld takes instances (--migrate-listen): "
		     "tcp+tls://HOST:PORT, or\n"
		     "unix:///PATH on the same machine. Over TLS each host must trust the other "
		     "(hostel trust).\n"
		     "Its image, disk, named volumes, log and labels go along; id and name stay. "
		     "It is stopped, and\n"
		     "started there if it ran. At no instant do both hosts run it. Ctrl-C before "
		     "the hand-over: it stays." },
	{ "trust", "COMMAND", "Hosts that instances may be sent to, and come from", HOST,
	  .subs = trust_subs, .n_subs = ARRAY_SIZE(trust_subs) },
	{ "resources", "", "What this host has, what is held, by whom", HOST,
	  .tables = { &csv_format_options }, .run = cmd_resources,
	  .details = "The columns add up: R_free = R_total - host - the sum of R_i, and\n"
		     "M_free = M_total - M_0 - the sum of M_i. json and csv have exact amounts." },
	{ "policy", "COMMAND", "Who is admitted next, who runs now", HOST, .subs = policy_subs,
	  .n_subs = ARRAY_SIZE(policy_subs) },
	{ "accounting", "", "Times of each start, and their sums", HOST,
	  .tables = { &accounting_options, &csv_format_options }, .run = cmd_accounting,
	  .details =
	      "T is the time that it ran, waiting = turnaround - T - paused, slowdown =\n"
	      "(turnaround - paused) / T. Utilisation is what was held, integrated over time,\n"
	      "over R_total times the span." },
	{ "simulate", "[TRACE]", "Replay a workload through the scheduler under other policies",
	  HOST, .tables = { &simulate_options }, .max_args = 1, .what = WHAT_FILE,
	  .run = cmd_simulate,
	  .details =
	      "TRACE is a file, plain, gzip or zstd, or - for stdin: Standard Workload Format, CSV "
	      "of\n"
	      "instances (arrival,cpu,memory,gpu,duration,user,priority,estimate in any order), or "
	      "an event\n"
	      "log of hosteld. Or a synthetic load: poisson:rate=0.8,service=1,jobs=100000 or\n"
	      "lublin:procs=256,jobs=10000. No hosteld and no rights are needed." },
	{ "network", "COMMAND", "Networks", HOST, .subs = network_subs,
	  .n_subs = ARRAY_SIZE(network_subs) },
	{ "volume", "COMMAND", "Volumes", HOST, .subs = volume_subs,
	  .n_subs = ARRAY_SIZE(volume_subs) },
	{ "kernel", "COMMAND", "Kernels that image VMs boot", HOST, .subs = kernel_subs,
	  .n_subs = ARRAY_SIZE(kernel_subs) },
	{ "info", "", "Facts about this host", HOST, .tables = { &format_options },
	  .run = cmd_info },
	{ "version", "", "Versions of this program and of hosteld", HOST,
	  .tables = { &format_options }, .run = cmd_version },
	{ "config", "COMMAND", "Settings of hosteld", HOST, .subs = config_subs,
	  .n_subs = ARRAY_SIZE(config_subs) },
	{ "completion", "SHELL", "Completion script for bash, zsh or fish", HOST, .min_args = 1,
	  .max_args = 1, .run = cmd_completion },

	{ "__complete", "WORD...", "Candidates for completion", HOST, .max_args = ANY,
	  .stops_at_first = true, .is_hidden = true, .run = cmd_complete },
	{ "__options", "", "All commands and options, one a line", HOST, .is_hidden = true,
	  .run = cmd_options },
};

const struct command *cli_root(void)
{
	static const struct command root = { .name = "",
					     .subs = commands,
					     .n_subs = ARRAY_SIZE(commands) };

	return &root;
}
