/* SPDX-License-Identifier: Apache-2.0 */
/* /hostel/v1/trust: whom instances may be sent to, and come from. */
#include "api/api_int.h"

struct err *mig_trust(struct call *c)
{
	call_json(c, 200, engine_trust(c->api->engine));
	return NULL;
}

struct err *mig_trust_own(struct call *c)
{
	return engine_trust_own(c->api->engine, call_done_json(c, 200));
}

struct err *mig_trust_add(struct call *c)
{
	return engine_trust_add(c->api->engine, call_param(c, "name"),
				jx_str(c->body, "certificate", ""), call_done(c, 204));
}

struct err *mig_trust_remove(struct call *c)
{
	return engine_trust_remove(c->api->engine, call_param(c, "name"), call_done(c, 204));
}
