/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "registry/registry_int.h"
#include "util/clock.h"
#include "util/fd.h"
#include "util/mem.h"

#define RETRY_NS  500000000LL /* times the number of the try */
#define EXTRA_MAX 16

/*
 * One blob: queued, then under way, then done.  What arrives goes to the file and to the
 * digest at once; after a broken connection the next try asks for the rest only.
 */
struct transfer {
	struct transfer *next;
	struct registry *registry;
	struct registry_blob blob;
	CURL *easy; /* NULL: queued */
	struct curl_slist *headers;
	char *url;
	int fd;
	struct digest *digest;
	int64_t received;
	int tried;
	int64_t not_before_ns; /* CLOCK_BOOTTIME */
	bool started;          /* a byte of this try's body was taken */
	bool authenticated;    /* the registry asked again, which it may once */
	struct str authenticate;
	struct err *failed; /* why the body is not taken */
	char text[CURL_ERROR_SIZE];
};

static void transfer_stop(struct transfer *t)
{
	if (!t->easy)
		return;
	curl_multi_remove_handle(t->registry->multi, t->easy);
	curl_easy_cleanup(t->easy);
	curl_slist_free_all(t->headers);
	t->easy = NULL;
	t->headers = NULL;
	t->registry->active--;
}

static void transfer_free(struct transfer *t)
{
	transfer_stop(t);
	own_fd_release(&t->fd);
	digest_free(t->digest);
	err_free(t->failed);
	str_done(&t->authenticate);
	free(t->url);
	free(t);
}

void registry_blobs_free(struct registry *r)
{
	while (r->transfers) {
		struct transfer *t = r->transfers;

		r->transfers = t->next;
		transfer_free(t);
	}
}

void registry_blob_add(struct registry *r, const struct registry_blob *b)
{
	struct transfer *t = xnew(struct transfer), **end = &r->transfers;

	t->registry = r;
	t->blob = *b;
	t->fd = -1;
	t->url = xasprintf("%s/%s/blobs/%s", r->base, r->path, b->digest);
	while (*end)
		end = &(*end)->next;
	*end = t;
}

bool registry_is_idle(const struct registry *r)
{
	return !r->transfers;
}

/* ---- receiving ---- */

static struct err *too_short(const struct transfer *t, const char *how)
{
	return err_new(ERR_UNAVAILABLE, "%s: %s after %lld of %lld bytes", t->blob.digest, how,
		       (long long)t->received, (long long)t->blob.size);
}

/* The server may not know ranges: then it all comes from the start. */
static struct err *start_body(struct transfer *t)
{
	long status = 0;

	curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
	if (status == 416) /* there is no more */
		return too_short(t, "download ended");
	if (status != 200 && status != 206)
		return registry_status_error(status, NULL, t->blob.digest);
	if (status == 200 && t->received) {
		if (lseek(t->fd, 0, SEEK_SET) < 0 || ftruncate(t->fd, 0) < 0)
			return err_sys(errno, "%s", t->blob.path);
		digest_free(t->digest);
		t->digest = digest_new();
		t->received = 0;
	}
	return NULL;
}

static struct err *take_data(struct transfer *t, const char *data, size_t n)
{
	if (!t->started)
		TRY(start_body(t));
	t->started = true;
	if ((int64_t)n > t->blob.size - t->received)
		return err_new(ERR_CORRUPT, "%s is longer than the %lld bytes that it should have",
			       t->blob.digest, (long long)t->blob.size);
	TRY_MSG(fd_write_all(t->fd, data, n), "store %s", t->blob.digest);
	digest_add(t->digest, data, n);
	t->received += (int64_t)n;
	if (t->blob.progress)
		t->blob.progress(t->blob.arg, t->received);
	return NULL;
}

static size_t on_data(char *data, size_t one, size_t n, void *arg)
{
	struct transfer *t = arg;

	(void)one;
	if (!t->failed)
		t->failed = take_data(t, data, n);
	return t->failed ? 0 : n;
}

static size_t on_header(char *data, size_t one, size_t n, void *arg)
{
	struct transfer *t = arg;

	(void)one;
	registry_header_value(data, n, "WWW-Authenticate:", &t->authenticate);
	return n;
}

/* ---- starting ---- */

static struct err *transfer_start(struct transfer *t)
{
	struct registry *r = t->registry;
	char range[32];

	if (t->fd < 0) {
		t->fd = open(t->blob.path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
		if (t->fd < 0)
			return err_sys(errno, "%s", t->blob.path);
		t->digest = digest_new();
	}
	t->tried++;
	t->started = false;
	*t->text = '\0';
	t->easy = registry_easy(r, t->url);
	t->headers = registry_headers(r, NULL);
	curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, t->headers);
	curl_easy_setopt(t->easy, CURLOPT_WRITEFUNCTION, on_data);
	curl_easy_setopt(t->easy, CURLOPT_WRITEDATA, t);
	curl_easy_setopt(t->easy, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(t->easy, CURLOPT_HEADERDATA, t);
	curl_easy_setopt(t->easy, CURLOPT_ERRORBUFFER, t->text);
	curl_easy_setopt(t->easy, CURLOPT_PRIVATE, t);
	if (t->received) {
		snprintf(range, sizeof(range), "%lld-", (long long)t->received);
		curl_easy_setopt(t->easy, CURLOPT_RANGE, range);
	}
	curl_multi_add_handle(r->multi, t->easy);
	r->active++;
	return NULL;
}

/* ---- ending ---- */

static void transfer_end(struct transfer *t, struct err *e)
{
	struct transfer **at = &t->registry->transfers;
	struct registry_blob b = t->blob;

	while (*at != t)
		at = &(*at)->next;
	*at = t->next;
	transfer_free(t);
	b.done(b.arg, e);
}

static struct err *verify(const struct transfer *t)
{
	char got[DIGEST_CHARS];

	digest_text(t->digest, got);
	if (!streq(got, t->blob.digest))
		return err_new(ERR_CORRUPT,
			       "filesystem layer verification failed for digest %s: the registry "
			       "sent %s",
			       t->blob.digest, got);
	return NULL;
}

/*
 * What a try came to.  @ret_again: a broken connection or a busy server may do better next
 * time; a registry that lies will not.
 */
static struct err *outcome(struct transfer *t, CURLcode code, bool *ret_again)
{
	long status = 0;

	curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
	*ret_again = false;
	if (t->failed) {
		*ret_again = err_kind(t->failed) == ERR_UNAVAILABLE;
		return TAKE(t->failed);
	}
	if (status && status != 200 && status != 206) {
		*ret_again = status >= 500;
		return registry_status_error(status, NULL, t->blob.digest);
	}
	if (code == CURLE_OK && t->received == t->blob.size)
		return verify(t);
	*ret_again = true;
	if (code == CURLE_OPERATION_TIMEDOUT && t->started)
		return too_short(t, "the registry stopped sending");
	if (code == CURLE_OK || t->started)
		return too_short(t, "download ended");
	return registry_curl_error(t->registry, t->easy, t->url, code, t->text);
}

/* A token may have run out meanwhile: ask for another, once. */
static bool wants_token(struct transfer *t)
{
	long status = 0;

	curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
	return status == 401 && !t->authenticated && t->authenticate.buf;
}

static void on_ended(struct transfer *t, CURLcode code)
{
	bool again = true;
	struct err *e;

	if (wants_token(t)) {
		t->authenticated = true;
		err_free(TAKE(t->failed));
		t->tried--;
		e = registry_authenticate(t->registry, t->authenticate.buf);
		transfer_stop(t);
		if (e)
			transfer_end(t, e);
		return;
	}
	e = outcome(t, code, &again);
	transfer_stop(t);
	if (!e || !again || t->tried >= t->registry->tries) {
		transfer_end(t, e);
		return;
	}
	err_free(e);
	t->not_before_ns = clock_boot_ns() + RETRY_NS * t->tried;
}

static void start_queued(struct registry *r)
{
	int64_t now = clock_boot_ns();

	for (struct transfer *t = r->transfers; t && r->active < r->parallel;) {
		struct transfer *next = t->next;
		struct err *e = NULL;

		if (!t->easy && t->not_before_ns <= now)
			e = transfer_start(t);
		if (e)
			transfer_end(t, e);
		t = next;
	}
}

static void take_ended(struct registry *r)
{
	CURLMsg *msg;
	int left;

	while ((msg = curl_multi_info_read(r->multi, &left))) {
		struct transfer *t = NULL;

		if (msg->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, (char **)&t);
		on_ended(t, msg->data.result);
	}
}

void registry_step(struct registry *r, struct pollfd *fds, size_t n_fds, int timeout_ms)
{
	struct curl_waitfd extra[EXTRA_MAX];
	int unused;

	if (n_fds > EXTRA_MAX)
		n_fds = EXTRA_MAX;
	start_queued(r);
	curl_multi_perform(r->multi, &unused);
	for (size_t i = 0; i < n_fds; i++)
		extra[i] = (struct curl_waitfd) { .fd = fds[i].fd, .events = CURL_WAIT_POLLIN };
	curl_multi_poll(r->multi, extra, (unsigned)n_fds, timeout_ms, &unused);
	for (size_t i = 0; i < n_fds; i++)
		fds[i].revents = extra[i].revents ? POLLIN : 0;
	curl_multi_perform(r->multi, &unused);
	take_ended(r);
}
