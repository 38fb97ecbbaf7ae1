/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ENGINE_MERGE_H
#define ENGINE_MERGE_H

/* What an image says about its instances, put under what the user said.  Pure. */

#include "json/json.h"
#include "model/spec.h"

/**
 * merge_image() - take the defaults of an image into a spec
 * @s:      changed: entrypoint, cmd, env, user, workdir, labels, volumes, exposed, stop signal,
 *          healthcheck
 * @config: OCI image config document; its "config" member is read
 * Return: NULL, or ERR_INVALID "no command specified".
 */
struct err *merge_image(struct spec *s, const json_t *config) MUST_USE;

/** env_has() - is there a line KEY=… (or the bare KEY) in @env for the key of @line? */
bool env_has(const struct strv *env, const char *line);

#endif
