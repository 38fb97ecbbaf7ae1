/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/session.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tls/identity.h"
#include "util/fd.h"
#include "util/mem.h"
#include "util/test.h"

/* What the server's process found out. */
struct seen {
	int kind; /* enum err_kind; -1: all went well */
	char text[256];
	char peer[DIGEST_CHARS];
};

struct rig {
	struct identity a, b, c;
};

static int set_up(void **state)
{
	struct rig *r = xnew(struct rig);

	*state = r;
	return identity_make("a", &r->a) || identity_make("b", &r->b) || identity_make("c", &r->c);
}

static int tear_down(void **state)
{
	struct rig *r = *state;

	identity_done(&r->a);
	identity_done(&r->b);
	identity_done(&r->c);
	free(r);
	return 0;
}

static void note(struct seen *s, struct err *e)
{
	s->kind = e ? (int)err_kind(e) : -1;
	snprintf(s->text, sizeof(s->text), "%s", e ? err_text(e) : "");
	err_free(e);
}

/* Shakes hands, and sends back what comes, in upper case letters of one byte. */
static struct err *serve(int fd, const struct identity *own, const char *peer, struct seen *s)
{
	OWN(strv) struct strv peers = { 0 };
	OWN(tls_session) struct tls_session *t = NULL;
	char buf[4096];
	size_t n = 1;

	strv_add(&peers, peer);
	TRY(tls_session_open(&(struct tls_setup) { .fd = fd,
						   .is_server = true,
						   .certificate = own->certificate,
						   .key = own->key,
						   .peers = &peers,
						   .handshake_ms = 20000 },
			     &t));
	snprintf(s->peer, sizeof(s->peer), "%s", tls_session_peer(t));
	for (;;) {
		TRY(tls_session_read(t, buf, sizeof(buf), &n));
		if (!n)
			break;
		TRY(tls_session_write(t, buf, n));
	}
	tls_session_bye(t);
	return NULL;
}

/* @ret_fd: the client's end; @ret_seen: where the server's process says how it went */
static pid_t start_server(const struct identity *own, const char *peer, int *ret_fd, int *ret_seen)
{
	int fds[2], seen[2];
	pid_t pid;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	assert_int_equal(pipe(seen), 0);
	pid = fork();
	if (!pid) {
		struct seen s = { 0 };

		close(fds[0]);
		note(&s, serve(fds[1], own, peer, &s));
		_exit(write(seen[1], &s, sizeof(s)) == sizeof(s) ? 0 : 1);
	}
	close(fds[1]);
	close(seen[1]);
	*ret_fd = fds[0];
	*ret_seen = seen[0];
	return pid;
}

static struct err *talk(int fd, const struct identity *own, const char *peer, size_t bytes)
{
	OWN(strv) struct strv peers = { 0 };
	OWN(tls_session) struct tls_session *t = NULL;
	OWN(mem) char *out = xcalloc(1, bytes + 1);
	OWN(mem) char *in = xcalloc(1, bytes + 1);
	size_t got = 0, n = 1;

	strv_add(&peers, peer);
	TRY(tls_session_open(&(struct tls_setup) { .fd = fd,
						   .certificate = own->certificate,
						   .key = own->key,
						   .peers = &peers,
						   .handshake_ms = 20000 },
			     &t));
	memset(out, 'x', bytes);
	TRY(tls_session_write(t, out, bytes));
	while (got < bytes && n) {
		TRY(tls_session_read(t, in + got, bytes - got, &n));
		got += n;
	}
	assert_int_equal(got, bytes);
	assert_memory_equal(in, out, bytes);
	tls_session_bye(t);
	return NULL;
}

static struct err *meet(const struct identity *server, const char *server_trusts,
			const struct identity *client, const char *client_trusts,
			struct seen *ret_seen)
{
	int fd = -1, seen = -1, status = 0;
	pid_t pid = start_server(server, server_trusts, &fd, &seen);
	struct err *e = talk(fd, client, client_trusts, 3000);

	close(fd);
	assert_int_equal(read(seen, ret_seen, sizeof(*ret_seen)), sizeof(*ret_seen));
	close(seen);
	waitpid(pid, &status, 0);
	return e;
}

static void two_that_trust_each_other_talk_and_know_who_is_there(void **state)
{
	struct rig *r = *state;
	OWN(mem) char *pem = NULL;
	char fingerprint[DIGEST_CHARS];
	struct seen seen;

	assert_ok(meet(&r->a, r->b.certificate, &r->b, r->a.certificate, &seen));
	assert_int_equal(seen.kind, -1);
	assert_ok(certificate_read(r->b.certificate, strlen(r->b.certificate), &pem, fingerprint));
	assert_string_equal(seen.peer, fingerprint);
	assert_string_equal(pem, r->b.certificate);
}

static void a_client_that_is_not_pinned_is_refused_and_both_sides_say_so(void **state)
{
	struct rig *r = *state;
	struct seen seen;
	OWN(err) struct err *e = meet(&r->a, r->c.certificate, &r->b, r->a.certificate, &seen);

	assert_non_null(e);
	assert_int_equal(err_kind(e), ERR_DENIED);
	assert_non_null(strstr(err_text(e), "does not trust this host's certificate"));
	assert_int_equal(seen.kind, ERR_DENIED);
	assert_non_null(strstr(seen.text, "is not trusted here"));
}

static void a_server_that_is_not_pinned_is_refused_and_both_sides_say_so(void **state)
{
	struct rig *r = *state;
	struct seen seen;
	OWN(err) struct err *e = meet(&r->a, r->b.certificate, &r->b, r->c.certificate, &seen);

	assert_non_null(e);
	assert_int_equal(err_kind(e), ERR_DENIED);
	assert_non_null(strstr(err_text(e), "is not trusted here"));
	assert_int_equal(seen.kind, ERR_DENIED);
	assert_non_null(strstr(seen.text, "does not trust this host's certificate"));
}

static struct err *open_to(int fd, const struct identity *own, int ms, struct tls_session **ret)
{
	OWN(strv) struct strv peers = { 0 };

	strv_add(&peers, own->certificate);
	return tls_session_open(&(struct tls_setup) { .fd = fd,
						      .certificate = own->certificate,
						      .key = own->key,
						      .peers = &peers,
						      .handshake_ms = ms },
				ret);
}

static void who_does_not_answer_who_hangs_up_and_who_speaks_no_tls_is_told_apart(void **state)
{
	static const struct {
		const char *says;
		bool hangs_up;
		enum err_kind kind;
	} cases[] = {
		{ "", false, ERR_UNAVAILABLE },
		{ "", true, ERR_UNAVAILABLE },
		{ "HTTP/1.1 400 Bad Request\r\n\r\n", false, ERR_UNSUPPORTED },
	};
	struct rig *r = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		OWN(tls_session) struct tls_session *t = NULL;
		OWN(err) struct err *e = NULL;
		int fds[2];

		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
		assert_ok(fd_write_all(fds[1], cases[i].says, strlen(cases[i].says)));
		if (cases[i].hangs_up)
			shutdown(fds[1], SHUT_WR);
		e = open_to(fds[0], &r->a, 50, &t);
		assert_non_null(e);
		assert_int_equal(err_kind(e), cases[i].kind);
		close(fds[0]);
		close(fds[1]);
	}
}

static void a_stream_that_is_cut_is_no_end(void **state)
{
	struct rig *r = *state;
	OWN(strv) struct strv peers = { 0 };
	int fd = -1, seen_fd = -1, status = 0;
	pid_t pid = start_server(&r->a, r->b.certificate, &fd, &seen_fd);
	OWN(tls_session) struct tls_session *t = NULL;
	struct seen seen;

	strv_add(&peers, r->a.certificate);
	assert_ok(tls_session_open(
	    &(struct tls_setup) {
		.fd = fd, .certificate = r->b.certificate, .key = r->b.key, .peers = &peers },
	    &t));
	assert_ok(tls_session_write(t, "x", 1));
	shutdown(fd, SHUT_RDWR);
	assert_int_equal(read(seen_fd, &seen, sizeof(seen)), sizeof(seen));
	assert_int_equal(seen.kind, ERR_UNAVAILABLE);
	assert_string_equal(seen.text, "the connection was cut");
	close(fd);
	close(seen_fd);
	waitpid(pid, &status, 0);
}

static void an_identity_is_made_once_and_only_for_its_owner(void **state)
{
	char dir[] = "/tmp/identity-XXXXXX";
	OWN(mem) char *inner = NULL;
	OWN(mem) char *path = NULL;
	OWN(identity) struct identity first = { 0 };
	OWN(identity) struct identity again = { 0 };
	struct stat st;

	(void)state;
	assert_non_null(mkdtemp(dir));
	inner = xasprintf("%s/tls", dir);
	path = xasprintf("%s/identity.pem", inner);
	assert_ok(identity_open(inner, "x", &first));
	assert_ok(identity_open(inner, "y", &again));
	assert_string_equal(first.certificate, again.certificate);
	assert_string_equal(first.key, again.key);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_ok(fd_write_file(AT_FDCWD, path, "nothing", 7, 0600));
	{
		OWN(identity) struct identity broken = { 0 };
		OWN(err) struct err *e = identity_open(inner, "x", &broken);

		assert_non_null(e);
		assert_int_equal(err_kind(e), ERR_CORRUPT);
	}
	unlink(path);
	rmdir(inner);
	rmdir(dir);
}

static void what_is_not_one_certificate_is_refused(void **state)
{
	struct rig *r = *state;
	OWN(mem) char *two = xasprintf("%s%s", r->a.certificate, r->b.certificate);
	const char *const texts[] = { "", "nothing", r->a.key, two };

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		OWN(mem) char *pem = NULL;
		char fingerprint[DIGEST_CHARS];
		OWN(err)
		struct err *e = certificate_read(texts[i], strlen(texts[i]), &pem, fingerprint);

		assert_non_null(e);
		assert_int_equal(err_kind(e), ERR_INVALID);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_that_trust_each_other_talk_and_know_who_is_there),
		cmocka_unit_test(a_client_that_is_not_pinned_is_refused_and_both_sides_say_so),
		cmocka_unit_test(a_server_that_is_not_pinned_is_refused_and_both_sides_say_so),
		cmocka_unit_test(
		    who_does_not_answer_who_hangs_up_and_who_speaks_no_tls_is_told_apart),
		cmocka_unit_test(a_stream_that_is_cut_is_no_end),
		cmocka_unit_test(an_identity_is_made_once_and_only_for_its_owner),
		cmocka_unit_test(what_is_not_one_certificate_is_refused),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
