/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REGISTRY_CHALLENGE_H
#define REGISTRY_CHALLENGE_H

/*
 * What a registry asks for in WWW-Authenticate.  Pure.
 * Spec: RFC 7235 section 4.1; distribution "token authentication".
 */

#include "util/err.h"

struct challenge {
	enum { CHALLENGE_NONE, CHALLENGE_BASIC, CHALLENGE_BEARER } scheme;
	char *realm, *service, *scope; /* NULL: not said */
};

/** challenge_parse() - the first scheme of a header value; an unknown one is NONE */
void challenge_parse(const char *header, struct challenge *ret);

/** challenge_done() - free the strings */
void challenge_done(struct challenge *c);

static inline void own_challenge_release(struct challenge *c)
{
	challenge_done(c);
}

/**
 * challenge_token_url() - where to ask for a token; owned by the caller
 * @scope: used when the challenge names none, "repository:library/debian:pull"; NULL: for nothing,
 *         which tells whether the credentials are right
 */
char *challenge_token_url(const struct challenge *c, const char *scope);

/**
 * challenge_token_form() - the same question for who has an identity token: what is posted to the
 * realm (OAuth2, as Docker asks it); owned by the caller
 */
char *challenge_token_form(const struct challenge *c, const char *scope, const char *token);

#endif
