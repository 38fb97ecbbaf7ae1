/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_SHOW_H
#define CLI_SHOW_H

/*
 * Printing what hosteld answered.
 */

#include "cli/cli.h"

/** show_json() - a document, indented */
void show_json(const json_t *doc);

/** show_wants_json() - was --format json given? */
bool show_wants_json(const struct args *a);

/**
 * show_template() - a Go template of the small kind: text, {{.A.B}}, {{json .A}}
 * Return: NULL, or ERR_INVALID for one that says more.
 */
struct err *show_template(const char *template, const json_t *doc) MUST_USE;

/**
 * show_otherwise() - as json or by a template, if --format asks for one
 * @list: member of @doc whose rows a template is for; NULL: @doc, or each row of it
 * Return: false: the caller prints its table.
 */
bool show_otherwise(const struct args *a, const json_t *doc, const char *list,
		    struct err **ret_err);

/** show_csv() - a value of one line of CSV, quoted where it must be; ',' before it unless first */
void show_csv(const char *text, bool is_first);

/* A column of CSV: a member of each row, or member @part of its member @name. */
struct show_column {
	const char *heading;
	const char *name, *part; /* NULL: as the heading; none */
};

/** show_csv_rows() - headings, and a line for each row of @list; null and absent are empty */
void show_csv_rows(const struct show_column *columns, size_t n, const json_t *list);

/** show_demux() - copy a multiplexed stream to stdout and stderr until its end */
struct err *show_demux(struct cli *c, struct hostel_reply *r) MUST_USE;

/** show_copy() - copy a body to a descriptor until its end */
struct err *show_copy(struct cli *c, struct hostel_reply *r, int fd) MUST_USE;

/**
 * show_save() - a body as a file: renamed into place when it is whole, so that a failure leaves
 * what was there; a device or a pipe of that name is written to instead
 * @mode: permission bits of a new file
 */
struct err *show_save(struct cli *c, struct hostel_reply *r, const char *file,
		      unsigned mode) MUST_USE;

#endif
