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

/** cli_path() - the path as cli_call() makes it; owned by the caller */
char *cli_path(const char *path, ...);

/** cli_send() - a request whose answer is a stream; the head has been read */
struct err *cli_send(struct cli *c, const struct hostel_request *r,
		     struct hostel_reply **ret) MUST_USE;

static inline void own_reply_release(struct hostel_reply **slot)
{
	hostel_reply_close(*slot);
}

/** cli_root() - the table of all commands */
const struct command *cli_root(void);

/* Tables that several commands use. */
extern const struct opt_table format_options; /* --format json|table */
extern const struct opt_table quiet_options;  /* -q */

/* ---- commands, by file ---- */

extern const struct opt_table create_options; /* create_opts.c: run and create */
extern const struct opt_table update_options;
extern const struct opt_table session_options; /* run.c: -d, --detach-keys … */

#define COMMAND_FN(name) struct err *name(struct cli *c, const struct args *a) MUST_USE
COMMAND_FN(cmd_run);
COMMAND_FN(cmd_create);
COMMAND_FN(cmd_start);
COMMAND_FN(cmd_attach);
COMMAND_FN(cmd_exec);
COMMAND_FN(cmd_console);
COMMAND_FN(cmd_stop);
COMMAND_FN(cmd_kill);
COMMAND_FN(cmd_restart);
COMMAND_FN(cmd_pause);
COMMAND_FN(cmd_unpause);
COMMAND_FN(cmd_rm);
COMMAND_FN(cmd_wait);
COMMAND_FN(cmd_rename);
COMMAND_FN(cmd_update);
COMMAND_FN(cmd_logs);
COMMAND_FN(cmd_cp);
COMMAND_FN(cmd_top);
COMMAND_FN(cmd_stats);
COMMAND_FN(cmd_inspect);
COMMAND_FN(cmd_diff);
COMMAND_FN(cmd_events);
COMMAND_FN(cmd_port);
COMMAND_FN(cmd_ps);
COMMAND_FN(cmd_pull);
COMMAND_FN(cmd_push);
COMMAND_FN(cmd_load);
COMMAND_FN(cmd_save);
COMMAND_FN(cmd_import);
COMMAND_FN(cmd_export);
COMMAND_FN(cmd_images);
COMMAND_FN(cmd_rmi);
COMMAND_FN(cmd_tag);
COMMAND_FN(cmd_history);
COMMAND_FN(cmd_volume_create);
COMMAND_FN(cmd_volume_ls);
COMMAND_FN(cmd_volume_rm);
COMMAND_FN(cmd_volume_inspect);
COMMAND_FN(cmd_vm_create);
COMMAND_FN(cmd_vm_ls);
COMMAND_FN(cmd_kernel_add);
COMMAND_FN(cmd_kernel_ls);
COMMAND_FN(cmd_kernel_rm);
COMMAND_FN(cmd_queue);
COMMAND_FN(cmd_resources);
COMMAND_FN(cmd_accounting);
COMMAND_FN(cmd_info);
COMMAND_FN(cmd_version);
COMMAND_FN(cmd_config_show);
COMMAND_FN(cmd_completion);
COMMAND_FN(cmd_complete);
COMMAND_FN(cmd_options);

#endif
