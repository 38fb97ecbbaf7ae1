/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ENGINE_REFS_H
#define ENGINE_REFS_H

/*
 * Image references: stored whole (docker.io/library/debian:12), shown short
 * (debian:12).  Pure.
 */

#include <stdbool.h>

#include "util/err.h"

/**
 * ref_normalise() - the stored form
 * @text: as users write it: "debian", "localhost:5000/a/b:tag", "x@sha256:…"
 * @ret:  owned by the caller; has a tag (":latest" by default) or a digest
 * Return: NULL, or ERR_INVALID "invalid reference format".
 */
struct err *ref_normalise(const char *text, char **ret) MUST_USE;

/** ref_short() - the part of a stored reference that people see; borrowed from @ref */
const char *ref_short(const char *ref);

/** ref_repository() - without tag and digest; owned by the caller */
char *ref_repository(const char *ref);

/** ref_is_id() - may it be (the start of) an id, with or without "sha256:"? */
bool ref_is_id(const char *text);

#endif
