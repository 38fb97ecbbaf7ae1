/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NET_PLAN_H
#define NET_PLAN_H

/*
 * The plan's "net" objects (model/plan.h) as the structs of net/net.h, both ways.
 * Pure.
 */

#include "json/json.h"
#include "net/net.h"

/**
 * net_plan_link() - the @n-th link of host.net: itself, then those in "more"
 * Return: NULL past the end, and for a mode other than bridge; borrowed.
 */
const json_t *net_plan_link(const json_t *net, size_t n);

/** net_link_from_plan() - host.net of mode bridge; ERR_INVALID names the member */
struct err *net_link_from_plan(const json_t *net, struct net_link *ret) MUST_USE;

/**
 * net_config_from_plan() - what the inside gets: host.net (container) or guest.net (VM)
 * A mode of none, or a NULL object, gives lo alone.  has_mac is never set: the MAC comes with the
 * device.
 */
struct err *net_config_from_plan(const json_t *net, struct net_config *ret) MUST_USE;

#endif
