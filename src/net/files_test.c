/* SPDX-License-Identifier: Apache-2.0 */
#include "net/files.h"

#include "util/mem.h"
#include "util/test.h"

#define HOSTS_HEAD                                                                                 \
	"127.0.0.1\tlocalhost\n"                                                                   \
	"::1\tlocalhost ip6-localhost ip6-loopback\n"                                              \
	"fe00::\tip6-localnet\n"                                                                   \
	"ff00::\tip6-mcastprefix\n"                                                                \
	"ff02::1\tip6-allnodes\n"                                                                  \
	"ff02::2\tip6-allrouters\n"

static char *words_v[8];

/* A list of up to seven words for one assertion. */
static struct strv words(const char *text)
{
	static char buf[128];
	struct strv l = { .v = words_v };
	char *rest = NULL;

	snprintf(buf, sizeof(buf), "%s", text);
	for (char *w = strtok_r(buf, " ", &rest); w && l.n < 7; w = strtok_r(NULL, " ", &rest))
		words_v[l.n++] = w;
	words_v[l.n] = NULL;
	return l;
}

static void hosts_name_the_instance_and_what_was_added(void **state)
{
	static const struct {
		struct net_hosts h;
		const char *extra, *want; /* want NULL: refused */
	} cases[] = {
		{ { .hostname = "web", .address = "10.88.0.5" },
		  "",
		  HOSTS_HEAD "10.88.0.5\tweb\n" },
		{ { .hostname = "web", .domainname = "example.org", .address = "10.88.0.5" },
		  "",
		  HOSTS_HEAD "10.88.0.5\tweb.example.org web\n" },
		{ { .hostname = "web" }, "", HOSTS_HEAD },
		{ { .hostname = "w", .address = "10.88.0.5", .gateway = "10.88.0.1" },
		  "db:10.0.0.1 h=host-gateway six:fd00::1 s2=[fd00::2]",
		  HOSTS_HEAD "10.0.0.1\tdb\n10.88.0.1\th\nfd00::1\tsix\nfd00::2\ts2\n"
			     "10.88.0.5\tw\n" },
		{ { .hostname = "w" }, "h:host-gateway", NULL },
		{ { .hostname = "w" }, "db:x", NULL },
		{ { .hostname = "w" }, ":10.0.0.1", NULL },
		{ { .hostname = "w" }, "db", NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct strv extra = words(cases[i].extra);
		struct net_hosts h = cases[i].h;
		OWN(mem) char *text = NULL;

		h.extra = &extra;
		if (!cases[i].want) {
			assert_err(net_hosts_text(&h, &text), ERR_INVALID);
			continue;
		}
		assert_ok(net_hosts_text(&h, &text));
		assert_string_equal(text, cases[i].want);
	}
}

static void a_resolver_is_the_hosts_unless_said_otherwise(void **state)
{
	static const char host[] = "# made by hand\n"
				   "nameserver 127.0.0.53\n"
				   "nameserver\t192.0.2.53\n"
				   "nameserver fd00::53\n"
				   "search old.example\n"
				   "search example.org example.com\n"
				   "options edns0 trust-ad\r\n"
				   "sortlist 1.2.3.4\n";
	static const struct {
		const char *host, *dns, *search, *options;
		bool keep;
		const char *want;
	} cases[] = {
		{ host, "", "", "", false,
		  "nameserver 192.0.2.53\nnameserver fd00::53\n"
		  "search example.org example.com\noptions edns0 trust-ad\n" },
		{ host, "", "", "", true,
		  "nameserver 127.0.0.53\nnameserver 192.0.2.53\nnameserver fd00::53\n"
		  "search example.org example.com\noptions edns0 trust-ad\n" },
		{ host, "1.1.1.1", "", "", false,
		  "nameserver 1.1.1.1\nsearch example.org example.com\noptions edns0 trust-ad\n" },
		{ host, "", ".", "", false,
		  "nameserver 192.0.2.53\nnameserver fd00::53\noptions edns0 trust-ad\n" },
		{ host, "", "", "ndots:1", false,
		  "nameserver 192.0.2.53\nnameserver fd00::53\n"
		  "search example.org example.com\noptions ndots:1\n" },
		{ "nameserver 127.0.0.1\nnameserver ::1\n", "", "", "", false,
		  "nameserver 8.8.8.8\nnameserver 8.8.4.4\n" },
		{ "", "", "", "", false, "nameserver 8.8.8.8\nnameserver 8.8.4.4\n" },
		{ "nameserver", "", "", "", false, "nameserver 8.8.8.8\nnameserver 8.8.4.4\n" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct strv one = words(cases[i].dns[0]      ? cases[i].dns
					: cases[i].search[0] ? cases[i].search
							     : cases[i].options);
		const struct net_resolv r = {
			.host = cases[i].host,
			.dns = cases[i].dns[0] ? &one : NULL,
			.search = cases[i].search[0] ? &one : NULL,
			.options = cases[i].options[0] ? &one : NULL,
			.keep_loopback = cases[i].keep,
		};
		OWN(mem) char *text = net_resolv_text(&r);

		assert_string_equal(text, cases[i].want);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(hosts_name_the_instance_and_what_was_added),
		cmocka_unit_test(a_resolver_is_the_hosts_unless_said_otherwise),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
