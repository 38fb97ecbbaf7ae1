/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "cli/cli.h"
#include "util/mem.h"

/* One line of stdin, asked for on a terminal; @is_hidden: not shown as it is typed. */
static struct err *ask(const char *what, bool is_hidden, char **ret)
{
	struct termios saved, quiet;
	bool is_tty = !tcgetattr(0, &saved);
	char *line = NULL;
	size_t size = 0;
	ssize_t n;

	if (is_tty)
		fprintf(stderr, "%s: ", what);
	quiet = saved;
	quiet.c_lflag &= ~(tcflag_t)ECHO;
	if (is_tty && is_hidden)
		tcsetattr(0, TCSAFLUSH, &quiet);
	n = getline(&line, &size, stdin);
	if (is_tty && is_hidden) {
		tcsetattr(0, TCSAFLUSH, &saved);
		fputc('\n', stderr);
	}
	if (n < 0) {
		free(line);
		return err_new(ERR_INVALID, "no %s was given", what);
	}
	line[strcspn(line, "\r\n")] = '\0';
	*ret = line;
	return NULL;
}

static struct err *read_credentials(const struct args *a, char **ret_user, char **ret_password)
{
	const char *user = args_text(a, "username"), *password = args_text(a, "password");
	bool by_stdin = args_flag(a, "password-stdin");

	if (by_stdin && password)
		return err_new(ERR_INVALID, "--password and --password-stdin: one of them");
	if (by_stdin && !user)
		return err_new(ERR_INVALID, "--password-stdin needs --username");
	if (user)
		*ret_user = xstrdup(user);
	else
		TRY(ask("Username", false, ret_user));
	if (!password)
		return ask("Password", true, ret_password);
	*ret_password = xstrdup(password);
	return NULL;
}

static const char *registry_of(const struct args *a)
{
	return a->n_rest ? a->rest[0] : NULL;
}

struct err *cmd_login(struct cli *c, const struct args *a)
{
	OWN(mem) char *user = NULL, *password = NULL;
	int rc;

	TRY(read_credentials(a, &user, &password));
	rc = hostel_login(c->h, registry_of(a), user, password);
	if (rc)
		return cli_err(c, rc);
	puts("Login Succeeded");
	return NULL;
}

struct err *cmd_logout(struct cli *c, const struct args *a)
{
	int rc = hostel_logout(c->h, registry_of(a));

	return rc ? cli_err(c, rc) : NULL;
}
