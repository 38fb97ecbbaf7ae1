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

/** show_demux() - copy a multiplexed stream to stdout and stderr until its end */
struct err *show_demux(struct cli *c, struct hostel_reply *r) MUST_USE;

/** show_copy() - copy a body to a descriptor until its end */
struct err *show_copy(struct cli *c, struct hostel_reply *r, int fd) MUST_USE;

#endif
