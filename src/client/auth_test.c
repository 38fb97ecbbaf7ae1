/* SPDX-License-Identifier: Apache-2.0 */
#include "client/auth.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/base64.h"
#include "util/test.h"

struct fixture {
	char folder[64], path[96];
	struct hostel *h;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	strcpy(f->folder, "/tmp/auth_test.XXXXXX");
	if (!mkdtemp(f->folder))
		return -1;
	snprintf(f->path, sizeof(f->path), "%s/config.json", f->folder);
	f->h = hostel_open("/nonexistent");
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	unlink(f->path);
	rmdir(f->folder);
	hostel_close(f->h);
	free(f);
	return 0;
}

static void write_config(const struct fixture *f, const char *text)
{
	FILE *out = fopen(f->path, "w");

	fputs(text, out);
	fclose(out);
}

/* What the header says, decoded; "" when there is none. */
static const char *said(struct fixture *f, const char *image, char *out)
{
	static const char name[] = "X-Registry-Auth: ";
	char *line = NULL;
	size_t len = 0;

	*out = '\0';
	assert_int_equal(client_auth_of_file(f->h, f->path, image, &line), 0);
	if (line) {
		assert_int_equal(strncmp(line, name, strlen(name)), 0);
		assert_string_equal(line + strlen(line) - 2, "\r\n");
		line[strlen(line) - 2] = '\0';
		assert_true(base64_decode(line + strlen(name), out, &len));
	}
	free(line);
	return out;
}

/* bWU6c2U6Y3JldA== is me:se:cret */
static const char config[] =
    "{\"auths\":{\"https://index.docker.io/v1/\":{\"auth\":\"aHViOng=\"},"
    "\"localhost:5000\":{\"auth\":\"bWU6c2U6Y3JldA==\"},"
    "\"https://reg.example/v2/\":{\"identitytoken\":\"tok\",\"auth\":\"bWU6\"},"
    "\"helped.example\":{}},\"credHelpers\":{\"gcr.io\":\"gcloud\"},\"credsStore\":\"pass\"}";

static void credentials_are_found_by_the_registry_of_the_image(void **state)
{
	static const struct {
		const char *image, *said;
	} cases[] = {
		{ "debian", "{\"username\":\"hub\",\"password\":\"x\"}" },
		{ "team/app:1", "{\"username\":\"hub\",\"password\":\"x\"}" },
		{ "docker.io/library/debian", "{\"username\":\"hub\",\"password\":\"x\"}" },
		{ "localhost:5000/x:1", "{\"username\":\"me\",\"password\":\"se:cret\"}" },
		{ "localhost:5001/x:1", "" },
		{ "localhost/x", "" },
		{ "reg.example/x@sha256:00",
		  "{\"username\":\"me\",\"password\":\"\",\"identitytoken\":\"tok\"}" },
		{ "other.example/x", "" },
	};
	struct fixture *f = *state;
	char text[256];

	write_config(f, config);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_string_equal(said(f, cases[i].image, text), cases[i].said);
}

static void without_a_file_there_are_none(void **state)
{
	char text[256];

	assert_string_equal(said(*state, "debian", text), "");
}

static void a_helper_is_refused_by_name(void **state)
{
	struct fixture *f = *state;
	char *line = NULL;

	write_config(f, config);
	assert_int_equal(client_auth_of_file(f->h, f->path, "gcr.io/p/x", &line),
			 HOSTEL_UNSUPPORTED);
	assert_non_null(strstr(hostel_error(f->h), "docker-credential-gcloud"));
	assert_int_equal(client_auth_of_file(f->h, f->path, "helped.example/x", &line),
			 HOSTEL_UNSUPPORTED);
	assert_non_null(strstr(hostel_error(f->h), "docker-credential-pass"));
	assert_int_equal(client_auth_keep(f->h, f->path, "new.example", "u", "p"),
			 HOSTEL_UNSUPPORTED);
}

static void a_damaged_file_is_named(void **state)
{
	struct fixture *f = *state;
	char *line = NULL;

	write_config(f, "{");
	assert_int_equal(client_auth_of_file(f->h, f->path, "debian", &line), HOSTEL_INVALID);
	assert_non_null(strstr(hostel_error(f->h), f->path));
}

static void what_is_kept_is_found_until_it_is_removed(void **state)
{
	struct fixture *f = *state;
	char text[256];
	struct stat st;

	write_config(f, "{\"currentContext\":\"mine\"}");
	assert_int_equal(client_auth_keep(f->h, f->path, "localhost:5000", "me", "se:cret"), 0);
	assert_int_equal(client_auth_keep(f->h, f->path, NULL, "hub", "x"), 0);
	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_string_equal(said(f, "localhost:5000/x", text),
			    "{\"username\":\"me\",\"password\":\"se:cret\"}");
	assert_string_equal(said(f, "debian", text), "{\"username\":\"hub\",\"password\":\"x\"}");
	assert_int_equal(client_auth_keep(f->h, f->path, "localhost:5000", NULL, NULL), 0);
	assert_string_equal(said(f, "localhost:5000/x", text), "");
	assert_int_equal(client_auth_keep(f->h, f->path, "docker.io", NULL, NULL), 0);
	assert_int_equal(client_auth_keep(f->h, f->path, "docker.io", NULL, NULL),
			 HOSTEL_NOT_FOUND);
}

int main(void)
{
#define WITH_FILE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		WITH_FILE(credentials_are_found_by_the_registry_of_the_image),
		WITH_FILE(without_a_file_there_are_none),
		WITH_FILE(a_helper_is_refused_by_name),
		WITH_FILE(a_damaged_file_is_named),
		WITH_FILE(what_is_kept_is_found_until_it_is_removed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
