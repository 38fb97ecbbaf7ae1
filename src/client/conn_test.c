/* SPDX-License-Identifier: Apache-2.0 */
#include "client/client_int.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "util/fault.h"
#include "util/test.h"

/* A server for as many connections as there are answers; each gets one and is closed. */
struct server {
	char folder[64], path[96];
	int fd;
	const char *const *answers;
	char asked[4096]; /* last request */
	pthread_t thread;
};

static void *serve(void *arg)
{
	struct server *s = arg;

	for (const char *const *a = s->answers; *a; a++) {
		int fd = accept(s->fd, NULL, NULL);
		ssize_t n = read(fd, s->asked, sizeof(s->asked) - 1);

		s->asked[n > 0 ? n : 0] = '\0';
		if (write(fd, *a, strlen(*a)) < 0)
			abort();
		close(fd);
	}
	return NULL;
}

static void server_start(struct server *s, const char *const *answers)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };

	*s = (struct server) { .answers = answers };
	strcpy(s->folder, "/tmp/hostel-conn-XXXXXX");
	assert_non_null(mkdtemp(s->folder));
	snprintf(s->path, sizeof(s->path), "%s/s", s->folder);
	s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	strcpy(sa.sun_path, s->path);
	assert_int_equal(bind(s->fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(s->fd, 8), 0);
	pthread_create(&s->thread, NULL, serve, s);
}

static void server_stop(struct server *s)
{
	pthread_join(s->thread, NULL);
	close(s->fd);
	unlink(s->path);
	rmdir(s->folder);
}

static void replies_and_errors_come_out_as_they_went_in(void **state)
{
	static const char *const answers[] = {
		"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n[]",
		"HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: "
		"chunked\r\n\r\n3\r\n{\"a\r\n4\r\n\":1}\r\n"
		"0\r\n\r\n",
		"HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 34\r\n\r\n"
		"{\"message\":\"No such container: x\"}",
		"HTTP/1.1 304 Not Modified\r\nConnection: close\r\n\r\n",
		"HTTP/1.1 500 Oops\r\nConnection: close\r\nContent-Length: 5\r\n\r\nplain",
		"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 20\r\n\r\nshort",
		"garbage\r\n\r\n",
		"",
		NULL,
	};
	static const struct {
		int rc, status;
		const char *text;
	} want[] = {
		{ HOSTEL_OK, 200, "[]" },
		{ HOSTEL_OK, 200, "{\"a\":1}" },
		{ HOSTEL_NOT_FOUND, 404, "No such container: x" },
		{ HOSTEL_OK, 304, "" },
		{ HOSTEL_FAILED, 500, "plain" },
		{ HOSTEL_BROKEN, 200, "hosteld closed the connection" },
		{ HOSTEL_BROKEN, 0, NULL },
		{ HOSTEL_BROKEN, 0, "hosteld closed the connection" },
	};
	struct server s;
	struct hostel *h;

	server_start(&s, answers);
	h = hostel_open(s.path);
	for (size_t i = 0; i < ARRAY_SIZE(want); i++) {
		char *body = NULL;

		assert_int_equal(hostel_call(h, "GET", "/x?y=1", NULL, &body), want[i].rc);
		assert_int_equal(hostel_status(h), want[i].status);
		if (want[i].text)
			assert_string_equal(body ? body : hostel_error(h), want[i].text);
		assert_non_null(strstr(s.asked, "GET /x?y=1 HTTP/1.1\r\nHost: hostel\r\n"));
		free(body);
	}
	hostel_close(h);
	server_stop(&s);
}

/* Answers on a kept connection once, takes another request there, and is gone, as in a restart. */
static void *serve_and_go(void *arg)
{
	static const char ok[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]";
	struct server *s = arg;
	int fd = accept(s->fd, NULL, NULL);

	if (read(fd, s->asked, sizeof(s->asked)) <= 0 || write(fd, ok, strlen(ok)) < 0 ||
	    read(fd, s->asked, sizeof(s->asked)) <= 0)
		abort();
	close(fd);
	s->answers = (const char *const[]) {
		"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\n[2]",
		"", /* to what may not be asked twice */
		"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\n[4]",
		NULL,
	};
	return serve(s);
}

static void what_may_be_asked_twice_is_when_a_kept_connection_was_closed(void **state)
{
	static const char *const none[] = { NULL };
	struct server s;
	struct hostel *h;
	char *body = NULL;

	server_start(&s, none);
	pthread_join(s.thread, NULL);
	pthread_create(&s.thread, NULL, serve_and_go, &s);
	h = hostel_open(s.path);
	assert_int_equal(hostel_call(h, "GET", "/1", NULL, &body), HOSTEL_OK);
	assert_string_equal(body, "[]");
	free(body);
	assert_int_equal(hostel_call(h, "GET", "/2", NULL, &body), HOSTEL_OK);
	assert_string_equal(body, "[2]");
	free(body);
	assert_int_equal(hostel_call(h, "POST", "/3", NULL, NULL), HOSTEL_BROKEN);
	assert_int_equal(hostel_call(h, "GET", "/4", NULL, &body), HOSTEL_OK);
	assert_string_equal(body, "[4]");
	free(body);
	hostel_close(h);
	server_stop(&s);
}

static void a_stream_after_101_is_told_apart_by_frames(void **state)
{
	static const char frames[] = "HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\n"
				     "Upgrade: tcp\r\n\r\n\1\0\0\0\0\0\0\3out\2\0\0\0\0\0\0\2er";
	struct hostel h = { .idle_fd = -1 };
	struct hostel_reply *r = calloc(1, sizeof(*r));
	int pair[2], stream = 0;
	char data[8];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_int_equal(write(pair[1], frames, sizeof(frames) - 1), sizeof(frames) - 1);
	shutdown(pair[1], SHUT_WR);
	r->h = &h;
	r->fd = pair[0];
	assert_int_equal(hostel_reply_head(r), HOSTEL_OK);
	assert_int_equal(hostel_reply_status(r), 101);
	assert_int_equal(hostel_frame_read(r, &stream, data, 2), 2);
	assert_int_equal(stream, HOSTEL_STDOUT);
	assert_int_equal(hostel_frame_read(r, &stream, data, sizeof(data)), 1);
	assert_int_equal(data[0], 't');
	assert_int_equal(hostel_frame_read(r, &stream, data, sizeof(data)), 2);
	assert_int_equal(stream, HOSTEL_STDERR);
	assert_int_equal(hostel_frame_read(r, &stream, data, sizeof(data)), 0);
	hostel_reply_close(r);
	close(pair[1]);
}

static void nobody_there_is_said_with_the_path(void **state)
{
	struct hostel *h = hostel_open("unix:///nowhere/hostel.sock");

	assert_int_equal(hostel_call(h, "GET", "/x", NULL, NULL), HOSTEL_NO_DAEMON);
	assert_non_null(strstr(hostel_error(h), "/nowhere/hostel.sock"));
	hostel_close(h);
}

static void a_path_with_a_space_is_not_sent(void **state)
{
	struct hostel *h = hostel_open("/nowhere");

	assert_int_equal(hostel_call(h, "GET", "/x y", NULL, NULL), HOSTEL_INVALID);
	assert_int_equal(hostel_call(h, "GET", "/x\r\nHost: y", NULL, NULL), HOSTEL_INVALID);
	hostel_close(h);
}

static void text_is_encoded_for_a_path(void **state)
{
	char *s = hostel_encode("a b/c:d%?&\xc3\xa4");

	assert_string_equal(s, "a%20b/c:d%25%3F%26%C3%A4");
	free(s);
}

static void failing_malloc_is_passed_up(void **state)
{
	FAULT_SWEEP(n) {
		struct hostel *h = hostel_open("/nowhere");
		int rc = h ? hostel_call(h, "GET", "/x", NULL, NULL) : HOSTEL_NO_MEMORY;

		assert_true(rc == HOSTEL_NO_MEMORY || rc == HOSTEL_NO_DAEMON);
		hostel_close(h);
	}
}

static int stories(struct hostel *h)
{
	static const char *const words[] = { "a", "b", NULL };
	static const char *const disks[] = { "new:1g", "/x,overlay", NULL };
	const struct hostel_container c = {
		.image = "i", .argv = words, .env = words, .name = "n"
	};
	const struct hostel_vm vm = { .name = "v", .disks = disks, .append = "x" };
	struct hostel_output out;
	int rc = hostel_container_create(h, &c, NULL);

	if (rc == HOSTEL_NO_DAEMON)
		rc = hostel_vm_create(h, &vm, NULL);
	if (rc == HOSTEL_NO_DAEMON)
		rc = hostel_run(h, "n", words, 0, &out);
	if (rc == HOSTEL_NO_DAEMON)
		rc = hostel_start(h, "n", NULL, NULL);
	return rc == HOSTEL_NO_DAEMON ? hostel_pull(h, "i", "p", NULL, NULL) : rc;
}

static void stories_pass_failing_malloc_up_and_leak_nothing(void **state)
{
	FAULT_SWEEP(n) {
		struct hostel *h = hostel_open("/nowhere");
		int rc = h ? stories(h) : HOSTEL_NO_MEMORY;

		assert_true(rc == HOSTEL_NO_MEMORY || rc == HOSTEL_NO_DAEMON);
		hostel_close(h);
	}
}

static void disks_are_read_as_people_write_them(void **state)
{
	static const char *const bad[] = { "new:", "new:x", "new:-1g", "new:99999999999999999999t",
					   "new:1q" };
	struct hostel *h = hostel_open("/nowhere");

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		const char *const disks[] = { bad[i], NULL };
		const struct hostel_vm vm = { .disks = disks };

		if (hostel_vm_create(h, &vm, NULL) != HOSTEL_INVALID)
			fail_msg("taken: %s", bad[i]);
	}
	hostel_close(h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(replies_and_errors_come_out_as_they_went_in),
		cmocka_unit_test(what_may_be_asked_twice_is_when_a_kept_connection_was_closed),
		cmocka_unit_test(a_stream_after_101_is_told_apart_by_frames),
		cmocka_unit_test(nobody_there_is_said_with_the_path),
		cmocka_unit_test(a_path_with_a_space_is_not_sent),
		cmocka_unit_test(text_is_encoded_for_a_path),
		cmocka_unit_test(failing_malloc_is_passed_up),
		cmocka_unit_test(stories_pass_failing_malloc_up_and_leak_nothing),
		cmocka_unit_test(disks_are_read_as_people_write_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
