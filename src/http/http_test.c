/* SPDX-License-Identifier: Apache-2.0 */
#include "http/http.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "sys/sock.h"
#include "util/clock.h"
#include "util/fault.h"
#include "util/fd.h"
#include "util/mem.h"
#include "util/test.h"

#define DEADLINE_NS (5 * 1000000000LL)

/* One server, one client; the handler is the test's. */
struct fixture {
	struct loop *loop;
	struct http_server *server;
	char path[64];
	int client;
	struct str in; /* what the client got */
	bool is_closed;

	void (*handler)(struct fixture *f, struct http_request *r);
	struct http_request *kept;
	struct http_stream *stream;
	struct http_source *source;
	int pipe[2], given, gone_calls;
	char pre[64];
	size_t pre_len;
};

static void on_request(void *arg, struct http_request *r)
{
	struct fixture *f = arg;

	f->handler(f, r);
}

static void connect_client(struct fixture *f)
{
	assert_ok(sock_connect_unix(f->path, SOCK_STREAM, &f->client));
	fd_set_nonblock(f->client, 1);
	f->is_closed = false;
}

static int set_up(void **state)
{
	struct fixture *f = xnew(struct fixture);
	int fd = -1;

	f->given = f->pipe[0] = f->pipe[1] = -1;
	snprintf(f->path, sizeof(f->path), "/tmp/http_test.%d", getpid());
	assert_ok(loop_new(&f->loop));
	assert_ok(sock_listen_unix(f->path, SOCK_STREAM, 0600, &fd));
	assert_ok(http_server_new(
	    &(struct http_config) {
		.loop = f->loop, .listen_fd = fd, .on_request = on_request, .arg = f },
	    &f->server));
	connect_client(f);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	own_fd_release(&f->client);
	own_fd_release(&f->given);
	http_server_free(f->server);
	loop_free(f->loop);
	own_fd_release(&f->pipe[0]);
	own_fd_release(&f->pipe[1]);
	str_done(&f->in);
	unlink(f->path);
	free(f);
	return 0;
}

static void turn(struct fixture *f)
{
	char buf[65536];
	ssize_t n;

	loop_step(f->loop, 0);
	while (f->client >= 0 && (n = read(f->client, buf, sizeof(buf))) >= 0) {
		if (n == 0) {
			f->is_closed = true;
			break;
		}
		str_add(&f->in, buf, (size_t)n);
	}
}

static bool got(struct fixture *f, const char *text)
{
	return f->in.buf && strstr(f->in.buf, text);
}

static void expect(struct fixture *f, const char *text)
{
	int64_t end = clock_boot_ns() + DEADLINE_NS;

	while (!got(f, text) && clock_boot_ns() < end)
		turn(f);
	if (!got(f, text))
		fail_msg("no \"%s\" in: %s", text, f->in.buf ? f->in.buf : "");
}

static void run_for(struct fixture *f, int64_t ns)
{
	int64_t end = clock_boot_ns() + ns;

	while (clock_boot_ns() < end)
		turn(f);
}

static void expect_close(struct fixture *f)
{
	int64_t end = clock_boot_ns() + DEADLINE_NS;

	while (!f->is_closed && clock_boot_ns() < end)
		turn(f);
	assert_true(f->is_closed);
}

static void say(struct fixture *f, const char *text)
{
	assert_int_equal(write(f->client, text, strlen(text)), strlen(text));
}

/* ---- handlers ---- */

static void answer_path(struct fixture *f, struct http_request *r)
{
	const char *q = http_query(r, "q");
	OWN(mem)
	char *text = xasprintf("[%s %s %s %s]", http_method(r), http_path(r), q ? q : "-",
			       http_header(r, "X-Test") ? http_header(r, "x-test") : "-");

	(void)f;
	http_add_header(r, "X-Reply", "1");
	http_reply(r, 200, "text/plain", text, strlen(text));
}

static void answer_body(void *arg, struct http_request *r)
{
	size_t len;
	const char *body = http_body(r, &len);

	(void)arg;
	http_reply(r, 201, "text/plain", body, len);
}

static void collect(struct fixture *f, struct http_request *r)
{
	http_collect_body(r, 1000, answer_body, f);
}

static void count_gone(void *arg)
{
	struct fixture *f = arg;

	f->gone_calls++;
	http_drop(TAKE(f->kept));
}

static void keep(struct fixture *f, struct http_request *r)
{
	f->kept = r;
	http_on_gone(r, count_gone, f);
}

static void reply_pipe(struct fixture *f, struct http_request *r)
{
	assert_int_equal(pipe2(f->pipe, O_CLOEXEC), 0);
	http_reply_fd(r, "application/octet-stream", TAKE_FD(f->pipe[0]));
}

static void stream_gone(void *arg)
{
	struct fixture *f = arg;

	f->gone_calls++;
}

static void source_gone(void *arg)
{
	struct fixture *f = arg;

	f->gone_calls++;
	http_source_end(TAKE(f->source), false);
}

static void reply_held(struct fixture *f, struct http_request *r)
{
	assert_int_equal(pipe2(f->pipe, O_CLOEXEC), 0);
	f->source = http_reply_fd_held(r, "application/x-tar", TAKE_FD(f->pipe[0]), source_gone, f);
}

static void reply_stream(struct fixture *f, struct http_request *r)
{
	f->stream = http_reply_stream(r, "application/json", stream_gone, f);
}

static void take_socket(void *arg, int fd, const void *pre, size_t len)
{
	struct fixture *f = arg;

	f->given = fd;
	memcpy(f->pre, pre, len);
	f->pre_len = len;
}

static void give_away(struct fixture *f, struct http_request *r)
{
	assert_true(http_wants_upgrade(r));
	http_upgrade(r, "tcp", "application/vnd.docker.raw-stream", take_socket, f);
}

static void pipe_request(struct fixture *f, struct http_request *r)
{
	assert_int_equal(pipe2(f->pipe, O_CLOEXEC), 0);
	http_body_to(r, TAKE_FD(f->pipe[1]));
	f->kept = r;
}

/* ---- tests ---- */

static void a_request_is_answered_and_the_connection_used_again(void **state)
{
	struct fixture *f = *state;

	f->handler = answer_path;
	say(f, "GET /a%2Fb?q=x+y HTTP/1.1\r\nHost: d\r\nX-Test: 5\r\n\r\n");
	expect(f, "[GET /a%2Fb x y 5]");
	assert_true(got(f, "HTTP/1.1 200 OK"));
	assert_true(got(f, "X-Reply: 1\r\n"));
	say(f, "POST /c HTTP/1.1\r\nHost: d\r\nContent-Length: 3\r\n\r\nabc");
	expect(f, "[POST /c - -]");
	assert_false(f->is_closed);
}

static void a_body_is_collected_up_to_its_limit(void **state)
{
	struct fixture *f = *state;
	char big[1300];

	f->handler = collect;
	say(f, "POST / HTTP/1.1\r\nHost: d\r\nContent-Length: 6\r\n\r\nabc");
	run_for(f, 20000000);
	say(f, "def");
	expect(f, "\r\n\r\nabcdef");
	assert_true(got(f, "HTTP/1.1 201 "));
	str_done(&f->in);
	snprintf(big, sizeof(big),
		 "POST / HTTP/1.1\r\nHost: d\r\nContent-Length: 1001\r\n\r\n%01001d", 0);
	say(f, big);
	expect(f, "HTTP/1.1 413 ");
	expect(f, "too large");
}

static void a_request_may_be_answered_later(void **state)
{
	struct fixture *f = *state;

	f->handler = keep;
	say(f, "POST / HTTP/1.1\r\nHost: d\r\nContent-Length: 0\r\n\r\n");
	run_for(f, 20000000);
	assert_non_null(f->kept);
	assert_int_equal(f->in.len, 0);
	http_reply(f->kept, 204, NULL, NULL, 0);
	expect(f, "HTTP/1.1 204 ");
	assert_int_equal(f->gone_calls, 0);
}

static void a_client_that_goes_while_it_waits_is_told(void **state)
{
	struct fixture *f = *state;

	f->handler = keep;
	say(f, "POST / HTTP/1.1\r\nHost: d\r\nContent-Length: 0\r\n\r\n");
	run_for(f, 20000000);
	assert_non_null(f->kept);
	own_fd_release(&f->client);
	f->client = -1;
	for (int i = 0; i < 1000 && !f->gone_calls; i++)
		turn(f);
	assert_int_equal(f->gone_calls, 1);
	run_for(f, 20000000);
}

static void a_client_that_only_ends_its_sending_still_waits(void **state)
{
	struct fixture *f = *state;

	f->handler = keep;
	say(f, "GET / HTTP/1.1\r\nHost: d\r\n\r\n");
	run_for(f, 20000000);
	shutdown(f->client, SHUT_WR);
	run_for(f, 20000000);
	assert_int_equal(f->gone_calls, 0);
	http_reply(f->kept, 200, "text/plain", "late", 4);
	expect(f, "late");
}

static void a_reply_from_a_descriptor_comes_as_it_is_written(void **state)
{
	struct fixture *f = *state;

	f->handler = reply_pipe;
	say(f, "GET / HTTP/1.1\r\nHost: d\r\n\r\n");
	expect(f, "HTTP/1.1 200 OK"); /* before there is any body */
	assert_int_equal(write(f->pipe[1], "one", 3), 3);
	expect(f, "3\r\none\r\n");
	run_for(f, 10000000);
	assert_int_equal(write(f->pipe[1], "two", 3), 3);
	expect(f, "3\r\ntwo\r\n");
	own_fd_release(&f->pipe[1]);
	f->pipe[1] = -1;
	expect(f, "0\r\n\r\n");
}

static void the_source_is_closed_when_the_client_goes(void **state)
{
	struct fixture *f = *state;

	f->handler = reply_pipe;
	say(f, "GET / HTTP/1.1\r\nHost: d\r\n\r\n");
	expect(f, "HTTP/1.1 200 OK");
	own_fd_release(&f->client);
	f->client = -1;
	for (int i = 0; i < 1000 && (write(f->pipe[1], "x", 1) == 1 || errno != EPIPE); i++)
		turn(f);
	assert_int_equal(write(f->pipe[1], "x", 1), -1);
}

static void a_held_reply_ends_by_its_verdict(void **state)
{
	struct fixture *f = *state;

	f->handler = reply_held;
	say(f, "GET / HTTP/1.1\r\nHost: d\r\n\r\n");
	expect(f, "HTTP/1.1 200 OK");
	assert_int_equal(write(f->pipe[1], "one", 3), 3);
	own_fd_release(&f->pipe[1]);
	f->pipe[1] = -1;
	expect(f, "3\r\none\r\n");
	run_for(f, 20000000);
	assert_false(got(f, "0\r\n\r\n"));
	http_source_end(TAKE(f->source), true);
	expect(f, "0\r\n\r\n");
	assert_int_equal(f->gone_calls, 0);
}

static void a_held_reply_that_broke_is_cut_without_its_last_chunk(void **state)
{
	struct fixture *f = *state;

	f->handler = reply_held;
	say(f, "GET / HTTP/1.1\r\nHost: d\r\n\r\n");
	expect(f, "HTTP/1.1 200 OK");
	assert_int_equal(write(f->pipe[1], "one", 3), 3);
	http_source_end(TAKE(f->source), false); /* what is in the pipe still goes out */
	own_fd_release(&f->pipe[1]);
	f->pipe[1] = -1;
	expect_close(f);
	assert_true(got(f, "3\r\none\r\n"));
	assert_false(got(f, "0\r\n\r\n"));
	assert_int_equal(f->gone_calls, 0);
}

static void a_client_that_leaves_a_held_reply_is_told_once(void **state)
{
	struct fixture *f = *state;

	f->handler = reply_held;
	say(f, "GET / HTTP/1.1\r\nHost: d\r\n\r\n");
	expect(f, "HTTP/1.1 200 OK");
	own_fd_release(&f->client);
	f->client = -1;
	for (int i = 0; i < 1000 && !f->gone_calls; i++)
		turn(f);
	run_for(f, 20000000);
	assert_int_equal(f->gone_calls, 1);
	assert_int_equal(write(f->pipe[1], "x", 1), -1);
}

static void a_stream_flushes_its_header_at_once_and_ends_when_told(void **state)
{
	struct fixture *f = *state;

	f->handler = reply_stream;
	say(f, "GET / HTTP/1.1\r\nHost: d\r\n\r\n");
	expect(f, "Transfer-Encoding: chunked\r\n\r\n");
	run_for(f, 10000000);
	http_stream_write(f->stream, "{}\n", 3);
	expect(f, "3\r\n{}\n\r\n");
	http_stream_write(f->stream, "a", 1);
	http_stream_end(f->stream);
	expect(f, "1\r\na\r\n0\r\n\r\n");
	assert_int_equal(f->gone_calls, 0);
}

static void a_reader_that_never_reads_is_cut_off(void **state)
{
	struct fixture *f = *state;
	static char block[65536];

	f->handler = reply_stream;
	say(f, "GET / HTTP/1.1\r\nHost: d\r\n\r\n");
	expect(f, "\r\n\r\n");
	for (int i = 0; i < 100 && !f->gone_calls; i++) {
		http_stream_write(f->stream, block, sizeof(block));
		loop_step(f->loop, 0);
	}
	assert_int_equal(f->gone_calls, 1);
	http_stream_end(f->stream);
	expect_close(f);
}

static void an_upgraded_socket_outlives_the_server(void **state)
{
	struct fixture *f = *state;
	char buf[16] = { 0 };

	f->handler = give_away;
	say(f, "POST /attach HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"
	       "Content-Length: 2\r\n\r\n{}early");
	expect(f, "HTTP/1.1 101 ");
	expect(f, "\r\n\r\n");
	run_for(f, 20000000);
	assert_true(f->given >= 0);
	assert_int_equal(f->pre_len, 5);
	assert_memory_equal(f->pre, "early", 5);
	http_server_free(TAKE(f->server));
	say(f, "in");
	assert_int_equal(read(f->given, buf, sizeof(buf)), 2);
	assert_string_equal(buf, "in");
	assert_int_equal(write(f->given, "out", 3), 3);
	expect(f, "out");
	assert_false(f->is_closed);
}

static void a_body_goes_into_a_pipe_and_waits_while_it_is_full(void **state)
{
	struct fixture *f = *state;
	size_t total = 1u << 20, sent = 0, read_bytes = 0;
	static char block[8192];
	int64_t end = clock_boot_ns() + DEADLINE_NS;

	f->handler = pipe_request;
	say(f, "PUT / HTTP/1.1\r\nHost: d\r\nContent-Length: 1048576\r\n\r\n");
	run_for(f, 20000000);
	/* Nobody reads the pipe: the client is held up before it sent all. */
	for (int i = 0; i < 300 && sent < total; i++) {
		ssize_t n = write(f->client, block, sizeof(block));

		if (n > 0)
			sent += (size_t)n;
		turn(f);
	}
	assert_true(sent < total);
	fd_set_nonblock(f->pipe[0], 1);
	while (read_bytes < total && clock_boot_ns() < end) {
		char buf[65536];
		ssize_t n = read(f->pipe[0], buf, sizeof(buf));

		if (n > 0)
			read_bytes += (size_t)n;
		n = sent < total
			? write(f->client, block,
				total - sent < sizeof(block) ? total - sent : sizeof(block))
			: 0;
		if (n > 0)
			sent += (size_t)n;
		turn(f);
	}
	assert_int_equal(read_bytes, total);
	run_for(f, 20000000);
	assert_int_equal(read(f->pipe[0], block, 1), 0); /* end of file */
	http_reply(f->kept, 200, "text/plain", "done", 4);
	expect(f, "done");
}

static void a_header_of_many_megabytes_is_answered_431_and_costs_nothing(void **state)
{
	struct fixture *f = *state;
	static char block[65536];
	size_t sent = 0;

	memset(block, 'a', sizeof(block));
	f->handler = answer_path;
	say(f, "GET / HTTP/1.1\r\nX-Big: ");
	while (sent < 100u << 20 && !f->is_closed) {
		ssize_t n = write(f->client, block, sizeof(block));

		if (n < 0 && errno != EAGAIN)
			break;
		sent += n > 0 ? (size_t)n : 0;
		turn(f);
	}
	assert_true(sent < 1u << 20);
	expect(f, "HTTP/1.1 431 ");
	own_fd_release(&f->client);
	str_done(&f->in);
	connect_client(f);
	say(f, "GET /next HTTP/1.1\r\nHost: d\r\n\r\n");
	expect(f, "[GET /next - -]");
}

static void what_is_no_http_is_refused(void **state)
{
	struct fixture *f = *state;

	f->handler = answer_path;
	say(f, "\x16\x03\x01 nonsense\r\n\r\n");
	expect_close(f);
}

static void a_server_may_be_freed_under_requests(void **state)
{
	struct fixture *f = *state;

	f->handler = keep;
	say(f, "POST / HTTP/1.1\r\nHost: d\r\nContent-Length: 0\r\n\r\n");
	run_for(f, 20000000);
	assert_non_null(f->kept);
	http_server_free(TAKE(f->server));
	assert_int_equal(f->gone_calls, 1);
}

#define WITH_SERVER(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		WITH_SERVER(a_request_is_answered_and_the_connection_used_again),
		WITH_SERVER(a_body_is_collected_up_to_its_limit),
		WITH_SERVER(a_request_may_be_answered_later),
		WITH_SERVER(a_client_that_goes_while_it_waits_is_told),
		WITH_SERVER(a_client_that_only_ends_its_sending_still_waits),
		WITH_SERVER(a_reply_from_a_descriptor_comes_as_it_is_written),
		WITH_SERVER(the_source_is_closed_when_the_client_goes),
		WITH_SERVER(a_held_reply_ends_by_its_verdict),
		WITH_SERVER(a_held_reply_that_broke_is_cut_without_its_last_chunk),
		WITH_SERVER(a_client_that_leaves_a_held_reply_is_told_once),
		WITH_SERVER(a_stream_flushes_its_header_at_once_and_ends_when_told),
		WITH_SERVER(a_reader_that_never_reads_is_cut_off),
		WITH_SERVER(an_upgraded_socket_outlives_the_server),
		WITH_SERVER(a_body_goes_into_a_pipe_and_waits_while_it_is_full),
		WITH_SERVER(a_header_of_many_megabytes_is_answered_431_and_costs_nothing),
		WITH_SERVER(what_is_no_http_is_refused),
		WITH_SERVER(a_server_may_be_freed_under_requests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
