#!/bin/sh
# Makes the secrets that deploy.yaml and the compose files want, in configs/secrets or the folder that is given. What is
# there already stays. WeChat's AppSecret comes from SF_SECRET, the others are random:
#
#   SF_SECRET=YOUR-APPSECRET configs/secrets.sh
set -eu
umask 077
dir=${1:-$(dirname "$0")/secrets}
mkdir -p "$dir"

# make NAME: writes standard input into a file, unless that is there. The folder is closed to others. The image's user
# (65532) owns the file where this may give it away, else everyone who gets into the folder may read it.
make() {
	[ ! -e "$dir/$1" ] || return 0
	cat >"$dir/$1"
	if chown 65532 "$dir/$1" 2>/dev/null; then chmod 400 "$dir/$1"; else chmod 444 "$dir/$1"; fi
	echo "$dir/$1"
}

hex() { od -An -v -N32 -tx1 /dev/urandom | tr -d ' \n'; }

hex | make courier_app_key
hex | make ops_token
hex | make store_key
hex | make nats_password
printf 'password: "%s"\n' "$(cat "$dir/nats_password")" | make nats_auth.conf
hex | make postgres_password
printf 'postgres://carrier:%s@postgres:5432/carrier\n' "$(cat "$dir/postgres_password")" | make store_url
if [ -n "${SF_SECRET-}" ]; then printf %s "$SF_SECRET" | make sf_secret; fi
if [ ! -e "$dir/sf_secret" ]; then
	echo "$dir/sf_secret is missing: run this again with SF_SECRET=YOUR-APPSECRET before it" >&2
	exit 1
fi
