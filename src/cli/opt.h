/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_OPT_H
#define CLI_OPT_H

/*
 * Commands and their options as tables.  The parser, --help, shell completion and the check
 * that the manual page names every option read the same rows.
 *
 * Pure but for opt_apply() of rows whose apply function reads a file.
 */

#include <stdbool.h>
#include <stdio.h>

#include "json/json.h"
#include "util/err.h"
#include "util/str.h"

struct cli;

enum opt_type {
	OPT_FLAG,     /* --name, --name=false */
	OPT_TEXT,     /* the last one counts */
	OPT_INT,      /* whole number */
	OPT_BYTES,    /* 512m, 1g; -1: no limit */
	OPT_NANO,     /* 0.5 as thousand millionths */
	OPT_DURATION, /* 10s, 5m: nanoseconds */
	OPT_LIST,     /* each one is added to an array */
	OPT_MAP,      /* KEY=VALUE, each one is added to an object */
	OPT_TYPES,
};

/* What a value is, for completion. */
enum opt_what {
	WHAT_NOTHING,
	WHAT_FILE,
	WHAT_INSTANCE,
	WHAT_WAITING, /* in the queue */
	WHAT_IMAGE,
	WHAT_VOLUME,
	WHAT_NETWORK,
	WHAT_KERNEL,
	WHAT_USER, /* that has a quota */
	WHAT_TRUSTED,
};

struct opt {
	const char *name;
	char letter; /* '\0': none */
	enum opt_type type;
	const char *arg; /* the value's name, as help shows it; NULL for flags */
	const char *help;
	const char *member; /* member of the request that it sets, "HostConfig.Memory"; NULL: none
			     */
	/* Instead of the type's own way of setting @member; may be NULL */
	struct err *(*apply)(json_t *doc, const char *value);
	enum opt_what what;
	const char *choices; /* "json table" for completion and check; NULL: any */
	const char *alias;   /* another long name, "net" */
};

struct opt_table {
	const struct opt *rows;
	size_t n;
};

#define OPT_TABLE(rows_)                                                                           \
	{                                                                                          \
		.rows = (rows_), .n = ARRAY_SIZE(rows_)                                            \
	}

struct args;

#define COMMAND_TABLES_MAX 4

struct command {
	const char *name;
	const char *usage; /* what follows the name and options: "IMAGE [COMMAND [ARG...]]" */
	const char *summary;
	const char *group; /* heading in the overview */
	const struct opt_table *tables[COMMAND_TABLES_MAX];
	size_t min_args, max_args;  /* max SIZE_MAX: any number */
	bool stops_at_first;        /* options end at the first argument */
	bool is_hidden;             /* not in help and completion */
	enum opt_what what;         /* of the arguments */
	const struct command *subs; /* sub-commands, or NULL */
	size_t n_subs;
	const char *details; /* more for --help; NULL: none */
	/* Context: prints its result. c->exit_code is what the program ends with (1 when it is 0
	 * and an error is returned) */
	struct err *(*run)(struct cli *c, const struct args *a);
};

struct opt_use {
	const struct opt *opt;
	const char *value; /* borrowed from argv; "true" or "false" for flags */
};

/* A parsed command line. */
struct args {
	const struct command *command;
	const char *parent; /* name of the command it is a sub-command of, or NULL */
	struct opt_use *uses;
	size_t n_uses;
	const char *const *rest; /* arguments, NULL-terminated; borrowed from owned list */
	size_t n_rest;
	const char **list;
	bool wants_help;
};

/**
 * args_parse() - parse what follows a command's name
 * @argv: NULL-terminated; strings are borrowed by @ret
 * Return: NULL, or ERR_INVALID with one line that says how to get help.
 */
struct err *args_parse(const struct command *cmd, const char *parent, const char *const *argv,
		       struct args *ret) MUST_USE;
void args_done(struct args *a);

/** args_text() - last value of an option, or NULL; borrowed */
const char *args_text(const struct args *a, const char *name);

/** args_flag() - was the flag given (and not =false)? */
bool args_flag(const struct args *a, const char *name);

/** args_has() - was the option given at all? */
bool args_has(const struct args *a, const char *name);

/** args_int() - value of an OPT_INT option (checked by the parser), or @fallback */
int64_t args_int(const struct args *a, const char *name, int64_t fallback);

/** args_apply() - set the members of a request by all options that name one */
struct err *args_apply(const struct args *a, json_t *doc) MUST_USE;

/** opt_member() - the array or object at "A.B.C" inside @doc, made when absent; borrowed */
json_t *opt_member(json_t *doc, const char *path, bool is_array);

/** opt_set() - set the value at "A.B.C"; consumes @value */
void opt_set(json_t *doc, const char *path, json_t *value);

/** opt_each() - the ith option of a command, over all its tables; NULL past the end */
const struct opt *opt_each(const struct command *cmd, size_t i);

/** opt_help() - print a command's help */
void opt_help(const struct command *cmd, const char *parent, FILE *out);

#endif
