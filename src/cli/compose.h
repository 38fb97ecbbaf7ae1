/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_COMPOSE_H
#define CLI_COMPOSE_H

/* Compose files, as Docker's create bodies. */

#include "json/json.h"
#include "util/err.h"
#include "util/str.h"

/**
 * compose_instances() - what a project would start, in that order: each service after those that it
 * depends on, as often as it is to be there
 * @doc:       what `docker compose config --format json` prints
 * @ret:       array of {"Name", "Body": body of POST /containers/create}: what of a service
 *             concerns its resources, its isolation, its command and its labels
 * @ret_notes: lines are added: what docker compose itself leaves out
 * Return: NULL, or ERR_INVALID "service web: mem_limit: …".
 */
struct err *compose_instances(const json_t *doc, json_t **ret, struct strv *ret_notes) MUST_USE;

/**
 * compose_load() - the document for compose_instances()
 * @file: "-" for stdin and NAME.json are such a document; all else is given to docker compose
 * Context: runs docker and waits for it.
 */
struct err *compose_load(const char *file, json_t **ret) MUST_USE;

#endif
