/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_CREATE_OPTS_H
#define CLI_CREATE_OPTS_H

/*
 * Options of run and create, and the request that they make.
 */

#include "cli/opt.h"

/**
 * create_body() - Docker's ContainerCreate body from IMAGE [COMMAND [ARG...]] and options
 * @is_attached: a client will be attached from the start
 * @ret:         new reference
 * Return: NULL, or ERR_INVALID "--publish: …".
 * Context: reads the files that options name.
 */
struct err *create_body(const struct args *a, bool is_attached, json_t **ret) MUST_USE;

#endif
