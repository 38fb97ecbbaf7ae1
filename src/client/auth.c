/* SPDX-License-Identifier: Apache-2.0 */
#include "client/auth.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/base64.h"

#define HUB_KEY "https://index.docker.io/v1/" /* what Docker's own is called in the file */

static void own_doc_release(json_t **slot)
{
	json_decref(*slot);
}

static void own_text_release(char **slot)
{
	free(*slot);
}

static int fail_memory(struct hostel *h)
{
	return client_fail(h, HOSTEL_NO_MEMORY, "out of memory");
}

/* ---- names ---- */

/* Bytes of @image that name its registry; 0: Docker's own. */
static size_t registry_len(const char *image)
{
	size_t n = strcspn(image, "/");

	if (!image[n])
		return 0;
	if (n == 9 && !strncmp(image, "docker.io", n))
		return 0;
	if (memchr(image, '.', n) || memchr(image, ':', n))
		return n;
	return n == 9 && !strncmp(image, "localhost", n) ? n : 0;
}

static bool is_hub(const char *host, size_t n)
{
	return (n == 9 && !strncmp(host, "docker.io", n)) ||
	       (n == 15 && !strncmp(host, "index.docker.io", n));
}

/* Is a key of the file, perhaps a URL, this registry? @n 0: Docker's own */
static bool is_key_of(const char *key, const char *registry, size_t n)
{
	const char *at = strstr(key, "://");
	const char *host = at ? at + 3 : key;
	size_t len = strcspn(host, "/");

	if (!n)
		return is_hub(host, len);
	return len == n && !strncmp(host, registry, n);
}

static json_t *find_key(json_t *object, const char *registry, size_t n, const char **ret_key)
{
	const char *key;
	json_t *value;

	json_object_foreach(object, key, value)
	{
		if (!is_key_of(key, registry, n))
			continue;
		if (ret_key)
			*ret_key = key;
		return value;
	}
	return NULL;
}

/* ---- the file ---- */

static int config_path(struct hostel *h, struct buf *path)
{
	const char *folder = getenv("DOCKER_CONFIG"), *home = getenv("HOME");

	if (folder && *folder)
		buf_addf(path, "%s/config.json", folder);
	else
		buf_addf(path, "%s/.docker/config.json", home ? home : "/root");
	return path->failed ? fail_memory(h) : HOSTEL_OK;
}

/* @ret: an empty object when there is no file */
static int load(struct hostel *h, const char *path, json_t **ret)
{
	json_error_t bad;
	json_t *doc;

	if (access(path, F_OK) < 0) {
		*ret = json_object();
		return *ret ? HOSTEL_OK : fail_memory(h);
	}
	doc = json_load_file(path, JSON_REJECT_DUPLICATES, &bad);
	if (!json_is_object(doc)) {
		json_decref(doc);
		return client_fail(h, HOSTEL_INVALID, "%s: %s", path,
				   doc ? "not a JSON object" : bad.text);
	}
	*ret = doc;
	return HOSTEL_OK;
}

/* A helper that stands between us and the credentials; NULL: none. */
static const char *helper_for(json_t *doc, const char *registry, size_t n, bool is_stored)
{
	json_t *own = find_key(json_object_get(doc, "credHelpers"), registry, n, NULL);
	const char *all = json_string_value(json_object_get(doc, "credsStore"));

	if (json_is_string(own))
		return json_string_value(own);
	return is_stored && all && *all ? all : NULL;
}

static int refuse_helper(struct hostel *h, const char *path, const char *name)
{
	return client_fail(h, HOSTEL_UNSUPPORTED,
			   "%s names the credential helper docker-credential-%s for this registry; "
			   "hostel runs no helpers, it reads \"auths\" there",
			   path, name);
}

/* ---- to a header ---- */

/* "user:password" in base64 as members of the header's document. */
static bool add_pair(json_t *out, const char *code)
{
	char *pair = code ? calloc(BASE64_DATA_SIZE(strlen(code)), 1) : NULL, *colon;
	size_t len;
	bool ok = false;

	if (pair && base64_decode(code, pair, &len) && (colon = strchr(pair, ':'))) {
		*colon = '\0';
		ok = !json_object_set_new(out, "username", json_string(pair)) &&
		     !json_object_set_new(out, "password", json_string(colon + 1));
	}
	free(pair);
	return ok;
}

static int write_header(struct hostel *h, const json_t *doc, char **ret_line)
{
	OWN(text) char *text = json_dumps(doc, JSON_COMPACT);
	OWN(text) char *code = text ? malloc(BASE64_TEXT_SIZE(strlen(text))) : NULL;
	OWN(buf) struct buf line = { 0 };

	if (!code)
		return fail_memory(h);
	base64_encode(text, strlen(text), code);
	buf_addf(&line, "X-Registry-Auth: %s\r\n", code);
	*ret_line = buf_take(&line);
	return *ret_line ? HOSTEL_OK : fail_memory(h);
}

int client_auth_of_file(struct hostel *h, const char *path, const char *image, char **ret_line)
{
	size_t n = registry_len(image);
	OWN(doc) json_t *doc = NULL;
	OWN(doc) json_t *out = json_object();
	const json_t *entry;
	const char *token, *helper;
	int rc = load(h, path, &doc);

	if (rc)
		return rc;
	*ret_line = NULL;
	entry = find_key(json_object_get(doc, "auths"), image, n, NULL);
	token = json_string_value(json_object_get(entry, "identitytoken"));
	/* An entry without anything in it says that a helper has it. */
	helper = helper_for(doc, image, n, json_is_object(entry) && !json_object_size(entry));
	if (helper)
		return refuse_helper(h, path, helper);
	if (!add_pair(out, json_string_value(json_object_get(entry, "auth"))) && !token)
		return HOSTEL_OK;
	if (token && *token && json_object_set_new(out, "identitytoken", json_string(token)))
		return fail_memory(h);
	return write_header(h, out, ret_line);
}

int client_auth_header(struct hostel *h, const char *image, char **ret_line)
{
	OWN(buf) struct buf path = { 0 };
	int rc = config_path(h, &path);

	return rc ? rc : client_auth_of_file(h, path.p, image, ret_line);
}

/* ---- to the file ---- */

/* For its owner only; whole or not at all. */
static int store(struct hostel *h, const char *path, const json_t *doc)
{
	OWN(buf) struct buf tmp = { 0 };
	OWN(text) char *text = json_dumps(doc, JSON_INDENT(8));
	const char *slash = strrchr(path, '/');
	size_t len = text ? strlen(text) : 0;
	int fd, bad;

	buf_addf(&tmp, "%.*s", (int)(slash - path), path);
	if (!tmp.failed)
		mkdir(tmp.p, 0700);
	buf_addf(&tmp, "/config.json.%d.tmp", (int)getpid());
	if (tmp.failed || !text)
		return fail_memory(h);
	fd = open(tmp.p, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return client_fail(h, HOSTEL_INVALID, "%s: %s", tmp.p, strerror(errno));
	bad = write(fd, text, len) != (ssize_t)len || fsync(fd) ? errno : 0;
	close(fd);
	if (!bad && !rename(tmp.p, path))
		return HOSTEL_OK;
	bad = bad ? bad : errno;
	unlink(tmp.p);
	return client_fail(h, HOSTEL_INVALID, "%s: %s", path, strerror(bad));
}

static int put_pair(struct hostel *h, json_t *auths, const char *key, const char *user,
		    const char *password)
{
	OWN(buf) struct buf pair = { 0 };
	OWN(text) char *code = NULL;
	json_t *entry;

	buf_addf(&pair, "%s:%s", user, password);
	code = pair.failed ? NULL : malloc(BASE64_TEXT_SIZE(pair.len));
	if (!code)
		return fail_memory(h);
	base64_encode(pair.p, pair.len, code);
	entry = json_pack("{s:s}", "auth", code);
	return entry && !json_object_set_new(auths, key, entry) ? HOSTEL_OK : fail_memory(h);
}

int client_auth_keep(struct hostel *h, const char *path, const char *registry, const char *user,
		     const char *password)
{
	size_t n = registry && !is_hub(registry, strlen(registry)) ? strlen(registry) : 0;
	OWN(doc) json_t *doc = NULL;
	const char *key = n ? registry : HUB_KEY, *helper;
	json_t *auths;
	int rc = load(h, path, &doc);

	if (rc)
		return rc;
	helper = helper_for(doc, registry, n, true);
	if (helper)
		return refuse_helper(h, path, helper);
	auths = json_object_get(doc, "auths");
	if (!json_is_object(auths)) {
		auths = json_object();
		json_object_set_new(doc, "auths", auths);
	}
	find_key(auths, registry, n, &key);
	if (!user && json_object_del(auths, key))
		return client_fail(h, HOSTEL_NOT_FOUND, "not logged in to %s",
				   n ? registry : "docker.io");
	rc = user ? put_pair(h, auths, key, user, password) : HOSTEL_OK;
	return rc ? rc : store(h, path, doc);
}

/* ---- calls ---- */

static int verify(struct hostel *h, const char *registry, const char *user, const char *password)
{
	OWN(doc)
	json_t *doc = json_pack("{s:s, s:s, s:s}", "username", user, "password", password,
				"serveraddress", registry && *registry ? registry : HUB_KEY);
	OWN(text) char *body = doc ? json_dumps(doc, JSON_COMPACT) : NULL;

	if (!body)
		return client_fail(h, HOSTEL_INVALID, "name and password must be UTF-8");
	return hostel_call(h, "POST", "/auth", body, NULL);
}

int hostel_login(struct hostel *h, const char *registry, const char *user, const char *password)
{
	OWN(buf) struct buf path = { 0 };
	int rc = config_path(h, &path);

	if (!rc && (!user || !*user || strchr(user, ':')))
		return client_fail(h, HOSTEL_INVALID, "a user name is needed, without a colon");
	if (!rc)
		rc = verify(h, registry, user, password ? password : "");
	return rc ? rc : client_auth_keep(h, path.p, registry, user, password ? password : "");
}

int hostel_logout(struct hostel *h, const char *registry)
{
	OWN(buf) struct buf path = { 0 };
	int rc = config_path(h, &path);

	return rc ? rc : client_auth_keep(h, path.p, registry, NULL, NULL);
}
