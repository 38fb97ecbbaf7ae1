/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store.h"

#include <stdlib.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/mem.h"
#include "util/test.h"

struct place {
	char dir[64];
	char *path;
};

static int make_place(void **state)
{
	struct place *p = xnew(struct place);

	strcpy(p->dir, "/tmp/hostel-store-test-XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	p->path = xasprintf("%s/hostel.db", p->dir);
	*state = p;
	return 0;
}

static int drop_place(void **state)
{
	struct place *p = *state;
	OWN(mem) char *wal = xasprintf("%s-wal", p->path);

	unlink(p->path);
	unlink(wal);
	assert_int_equal(rmdir(p->dir), 0); /* nothing else was left there */
	free(p->path);
	free(p);
	return 0;
}

static struct err *put(struct store *s, const char *key, const char *name)
{
	OWN(json) json_t *doc = json_pack("{s:s}", "key", key);

	return store_put(s, STORE_INSTANCE, key, name, doc);
}

static struct err *add_key(void *arg, const char *key, const json_t *doc)
{
	assert_string_equal(jx_str(doc, "key", ""), key);
	str_adds(arg, key);
	return NULL;
}

static struct err *add_claim(void *arg, const char *value, const char *instance)
{
	str_addf(arg, "%s=%s ", value, instance);
	return NULL;
}

static void committed_documents_survive_a_killed_daemon(void **state)
{
	struct place *p = *state;
	OWN(str) struct str keys = { 0 };
	OWN(store) struct store *again = NULL;
	pid_t pid = fork();

	if (pid == 0) {
		struct store *s = NULL;

		err_free(store_open(p->path, &s));
		err_free(store_begin(s));
		err_free(put(s, "a", "web"));
		err_free(put(s, "b", NULL));
		err_free(store_commit(s));
		err_free(store_begin(s));
		err_free(put(s, "lost", NULL)); /* never committed */
		kill(getpid(), SIGKILL);
	}
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_ok(store_open(p->path, &again));
	assert_ok(store_each(again, STORE_INSTANCE, add_key, &keys));
	assert_string_equal(keys.buf, "ab");
}

static void a_name_belongs_to_one(void **state)
{
	struct place *p = *state;
	OWN(store) struct store *s = NULL;
	OWN(json) json_t *doc = NULL;

	assert_ok(store_open(p->path, &s));
	assert_ok(put(s, "a", "web"));
	assert_ok(put(s, "a", "web")); /* its own again */
	assert_err(put(s, "b", "web"), ERR_EXISTS);
	assert_ok(put(s, "a", "old"));
	assert_ok(put(s, "b", "web"));
	assert_ok(store_del(s, STORE_INSTANCE, "b"));
	assert_err(store_get(s, STORE_INSTANCE, "b", &doc), ERR_NOT_FOUND);
	assert_ok(store_get(s, STORE_INSTANCE, "a", &doc));
}

static void a_claim_is_exclusive_and_goes_with_its_instance(void **state)
{
	struct place *p = *state;
	OWN(store) struct store *s = NULL;
	OWN(mem) char *holder = NULL;
	OWN(str) struct str left = { 0 };

	assert_ok(store_open(p->path, &s));
	assert_ok(put(s, "a", NULL));
	assert_ok(store_claim(s, "port", "tcp/0.0.0.0/80", "a", NULL));
	assert_ok(store_claim(s, "port", "tcp/0.0.0.0/80", "a", NULL));
	assert_err(store_claim(s, "port", "tcp/0.0.0.0/80", "b", &holder), ERR_EXISTS);
	assert_string_equal(holder, "a");
	assert_ok(store_claim(s, "port", "udp/0.0.0.0/80", "b", NULL));
	assert_ok(store_claim(s, "addr", "10.0.0.2", "a", NULL));
	assert_ok(store_release(s, "port", "b"));
	assert_ok(store_claim(s, "port", "udp/0.0.0.0/80", "c", NULL));
	assert_ok(store_del(s, STORE_INSTANCE, "a"));
	assert_ok(store_each_claim(s, "port", add_claim, &left));
	assert_ok(store_each_claim(s, "addr", add_claim, &left));
	assert_string_equal(left.buf, "udp/0.0.0.0/80=c ");
}

static void a_newer_store_is_refused_in_one_line(void **state)
{
	struct place *p = *state;
	struct store *s = NULL;

	assert_ok(store_open(p->path, &s));
	assert_ok(store_meta_set(s, "version", "99"));
	store_close(s);
	s = NULL;
	OWN(err) struct err *e = store_open(p->path, &s);

	assert_non_null(e);
	assert_int_equal(err_kind(e), ERR_UNSUPPORTED);
	assert_non_null(strstr(err_text(e), "written by a newer hostel (version 99"));
	assert_null(s);
}

static void a_second_daemon_on_the_same_store_is_told(void **state)
{
	struct place *p = *state;
	OWN(store) struct store *s = NULL;
	pid_t pid;
	int status;

	assert_ok(store_open(p->path, &s));
	pid = fork();
	if (pid == 0) {
		struct store *second = NULL;
		struct err *e = store_open(p->path, &second);

		_exit(e && err_kind(e) == ERR_UNAVAILABLE ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static struct err *add_account(void *arg, int64_t seq, const char *instance, const json_t *doc)
{
	str_addf(arg, "%d:%s:%d ", (int)seq, instance, (int)jx_int(doc, "start", 0));
	return NULL;
}

static void accounts_are_numbered_and_newest_come_first(void **state)
{
	struct place *p = *state;
	OWN(store) struct store *s = NULL;
	OWN(str) struct str got = { 0 };
	OWN(json) json_t *one = json_pack("{s:i}", "start", 1);
	OWN(json) json_t *two = json_pack("{s:i}", "start", 2);
	int64_t seq = 0;

	assert_ok(store_open(p->path, &s));
	assert_ok(store_account_put(s, 0, "a", one, &seq));
	assert_ok(store_account_put(s, 0, "b", one, NULL));
	assert_ok(store_account_put(s, seq, "a", two, NULL));
	assert_ok(store_each_account(s, 0, 0, add_account, &got));
	assert_string_equal(got.buf, "2:b:1 1:a:2 ");
	str_done(&got);
	assert_ok(store_each_account(s, 0, 1, add_account, &got));
	assert_string_equal(got.buf, "2:b:1 ");
	str_done(&got);
	assert_ok(store_each_account(s, 2, 0, add_account, &got));
	assert_string_equal(got.buf, "1:a:2 ");
}

static void garbage_is_no_store(void **state)
{
	struct place *p = *state;
	struct store *s = NULL;
	FILE *f = fopen(p->path, "w");

	for (int i = 0; i < 2000; i++)
		fputs("garbage ", f);
	fclose(f);
	assert_err(store_open(p->path, &s), ERR_CORRUPT);
}

int main(void)
{
#define PLACED(f) cmocka_unit_test_setup_teardown(f, make_place, drop_place)
	static const struct CMUnitTest tests[] = {
		PLACED(committed_documents_survive_a_killed_daemon),
		PLACED(a_name_belongs_to_one),
		PLACED(a_claim_is_exclusive_and_goes_with_its_instance),
		PLACED(a_newer_store_is_refused_in_one_line),
		PLACED(a_second_daemon_on_the_same_store_is_told),
		PLACED(accounts_are_numbered_and_newest_come_first),
		PLACED(garbage_is_no_store),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
