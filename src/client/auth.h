/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLIENT_AUTH_H
#define CLIENT_AUTH_H

/*
 * Credentials for registries, where Docker's command line keeps them: "auths" of
 * $DOCKER_CONFIG/config.json or ~/.docker/config.json.  Credential helpers are programs that we
 * do not run; a registry that one is named for is refused with its name.
 */

#include "client/client_int.h"

/**
 * client_auth_header() - the header line that goes with a request about an image
 * @image:    reference, as the user wrote it
 * @ret_line: "X-Registry-Auth: …\r\n", owned by the caller; NULL: there are no credentials
 * Return: 0; HOSTEL_UNSUPPORTED for a credential helper; HOSTEL_INVALID for a damaged file.
 */
int client_auth_header(struct hostel *h, const char *image, char **ret_line);

/** client_auth_of_file() - the same, with the file's path; it need not exist */
int client_auth_of_file(struct hostel *h, const char *path, const char *image, char **ret_line);

/** client_auth_keep() - put (or with @user NULL remove) a registry's credentials into a file */
int client_auth_keep(struct hostel *h, const char *path, const char *registry, const char *user,
		     const char *password);

#endif
