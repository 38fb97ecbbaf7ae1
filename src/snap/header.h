/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SNAP_HEADER_H
#define SNAP_HEADER_H

/*
 * The header of a snapshot (docs/protocols.md, "Snapshots"): one line and one JSON object.
 *
 *	hostel-snapshot VERSION SHA256-OF-THE-JSON BYTES-OF-THE-JSON\n
 *	{"name", "created_ns", "stateful", "kind", "instance", "spec", "sections", ...}
 *
 * In a snapshot's folder it is the file "header", its sections are the folders "disk" and
 * "state"; in an exported file the sections follow it as streams (snap/stream.h).
 *
 * Pure: no clock, no I/O.
 */

#include <stdbool.h>
#include <stddef.h>

#include "json/json.h"

#define SNAP_VERSION    1
#define SNAP_HEADER_MAX (4u << 20)
#define SNAP_LINE_MAX   128

/** snap_header_text() - line and JSON; owned by the caller */
char *snap_header_text(const json_t *header);

/* What the first line says. */
struct snap_line {
	size_t line_bytes; /* with its newline */
	size_t json_bytes;
	char digest[65]; /* hex */
};

/**
 * snap_line_parse() - the first line
 * @text, @len: the first bytes, SNAP_LINE_MAX of them or all there are
 * Return: NULL; ERR_INVALID for what is no snapshot; ERR_UNSUPPORTED for another version;
 *         ERR_CORRUPT for a line that breaks the rules.
 */
struct err *snap_line_parse(const char *text, size_t len, struct snap_line *ret) MUST_USE;

/**
 * snap_json_parse() - the JSON behind the line
 * @text: l->json_bytes
 * @ret:  new reference; has all members of their types
 * Return: NULL; ERR_CORRUPT "snapshot header: …".
 */
struct err *snap_json_parse(const struct snap_line *l, const char *text, json_t **ret) MUST_USE;

/** snap_header_parse() - both, from memory; what follows is left alone */
struct err *snap_header_parse(const char *text, size_t len, json_t **ret) MUST_USE;

/** snap_section() - a section of a header by its name; NULL: there is none; borrowed */
const json_t *snap_section(const json_t *header, const char *name);

/** snap_section_is_name() - "disk", "state" or "volume/NAME" */
bool snap_section_is_name(const char *name);

#endif
