/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

/*
 * The program hostel: one command of one table, against one hosteld.
 *
 * Context: one process, which may block; prints to stdout and stderr.
 */

#include "cli/opt.h"
#include "hostel/hostel.h"
#include "json/json.h"
#include "util/err.h"

#define CLI_USAGE_CODE 125 /* as docker: the program itself failed */

struct cli {
	struct hostel *h;
	int exit_code;
};

/**
 * cli_main() - run the program
 * Return: exit code.
 */
int cli_main(int argc, char **argv);

/** cli_err() - the last failure of the handle as an error */
struct err *cli_err(struct cli *c, int result) MUST_USE;

/**
 * cli_call() - one request
 * @body:   borrowed; NULL: none
 * @ret:    the answer, new reference (null without a body); may be NULL
 * @path:   below the Docker API's version unless it begins with /hostel/; each %s is replaced by
 *          the next string, percent-encoded
 */
struct err *cli_call(struct cli *c, const char *method, const json_t *body, json_t **ret,
		     const char *path, ...) MUST_USE;

/** cli_delete_each() - DELETE @path for each argument, its %s; each is named when it is gone */
struct err *cli_delete_each(struct cli *c, const struct args *a, const char *path) MUST_USE;

/** cli_each() - @fn for each argument; one that fails does not keep the rest from their turn
 *  @is_silent: the names of those that went well are not printed
 */
typedef struct err *cli_each_fn(struct cli *c, const struct args *a, const char *ref);
struct err *cli_each(struct cli *c, const struct args *a, cli_each_fn *fn, bool is_silent) MUST_USE;

/** cli_path() - the path as cli_call() makes it; owned by the caller */
char *cli_path(const char *path, ...);

/** cli_send() - a request whose answer is a stream; the head has been read */
struct err *cli_send(struct cli *c, const struct hostel_request *r,
		     struct hostel_reply **ret) MUST_USE;

/**
 * cli_line() - the next line of a stream, which is a JSON document
 * @ret_line: owned by the caller, as @ret_doc; both NULL at the end of the stream
 * Return: NULL; ERR_INVALID for what is no JSON.
 */
struct err *cli_line(struct cli *c, struct hostel_reply *r, char **ret_line,
		     json_t **ret_doc) MUST_USE;

static inline void own_reply_release(struct hostel_reply **slot)
{
	hostel_reply_close(*slot);
}

/** cli_filters() - {"event":["start"],"label":["a=b"]} from --filter options; owned by the caller
 */
char *cli_filters(const struct args *a);

/** cli_root() - the table of all commands */
const struct command *cli_root(void);

/* Tables that several commands use. */
extern const struct opt_table format_options;     /* --format json|table */
extern const struct opt_table csv_format_options; /* and csv */
extern const struct opt_table quiet_options;      /* -q */

/* ---- commands, by file ---- */

extern const struct opt_table create_options; /* create_opts.c: run and create */
extern const struct opt_table update_options;
extern const struct opt_table accounting_options; /* accounting.c */
extern const struct opt_table simulate_options;   /* simulate.c */
extern const struct opt_table session_options;    /* run.c: -d, --detach-keys … */

extern const struct opt_table snapshot_create_options, snapshot_restore_options,
    snapshot_import_options, checkpoint_options, fork_options;  /* snapshot.c */
extern const struct opt_table drain_options;                    /* drain.c */
extern const struct opt_table fit_options;                      /* fit.c */
extern const struct opt_table quota_set_options;                /* quota.c */
extern const struct opt_table queue_move_options;               /* queue.c */
extern const struct opt_table migrate_options, resolve_options; /* migrate.c */
extern const struct opt_table network_create_options, network_connect_options,
    network_disconnect_options, network_filter_options; /* network.c */

/* What the rows of the command table call; each is found by its name in the file of its subject. */
typedef struct err *command_fn(struct cli *c, const struct args *a);
extern command_fn cmd_run, cmd_create, cmd_start, cmd_attach, cmd_exec, cmd_console, cmd_stop,
    cmd_kill, cmd_restart, cmd_pause, cmd_unpause, cmd_rm, cmd_wait, cmd_rename, cmd_update,
    cmd_logs, cmd_cp, cmd_top, cmd_stats, cmd_inspect, cmd_diff, cmd_events, cmd_port, cmd_ps,
    cmd_login, cmd_logout, cmd_pull, cmd_push, cmd_load, cmd_save, cmd_import, cmd_export,
    cmd_images, cmd_rmi, cmd_tag, cmd_history, cmd_network_create, cmd_network_ls, cmd_network_rm,
    cmd_network_inspect, cmd_network_connect, cmd_network_disconnect, cmd_network_prune,
    cmd_volume_create, cmd_volume_ls, cmd_volume_rm, cmd_volume_inspect, cmd_vm_create, cmd_vm_ls,
    cmd_kernel_add, cmd_kernel_ls, cmd_kernel_rm, cmd_policy_set, cmd_policy_show, cmd_drain,
    cmd_trust_add, cmd_trust_ls, cmd_trust_rm, cmd_trust_show, cmd_fit, cmd_quota_set, cmd_quota_ls,
    cmd_quota_rm, cmd_queue, cmd_queue_hold, cmd_queue_release, cmd_queue_cancel, cmd_queue_move,
    cmd_resources, cmd_accounting, cmd_simulate, cmd_info, cmd_version, cmd_config_show,
    cmd_completion, cmd_complete, cmd_options;

extern command_fn cmd_snapshot_create, cmd_snapshot_ls, cmd_snapshot_rm, cmd_snapshot_restore,
    cmd_snapshot_export, cmd_snapshot_import, cmd_checkpoint, cmd_restore, cmd_fork,
    cmd_backup_create, cmd_backup_restore, cmd_migrate, cmd_migrate_resolve;

#endif
