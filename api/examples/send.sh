#!/usr/bin/env bash
# Sends scan events to carrier, and registers Tokens, with curl and openssl.
#
#   send.sh send URL FILE                                    events, one JSON object a line, one request each
#   send.sh batch URL FILE                                   up to 1,000 of them in one request; prints the answer
#   send.sh token ADMIN_URL DELIVERY_ID WAYBILL_ID TOKEN     a waybill's Token
#
# Credentials come from the environment: CARRIER_SIGNING_SECRET (whsec_...), or CARRIER_API_KEY; for token
# CARRIER_ADMIN_TOKEN. For each event a line is printed, its id and its verdict. The exit status is 1 if any was refused.
set -euo pipefail

patience=10 # Attempts. A real sender keeps its events, and goes on for as long as it takes.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# credentials MESSAGE_ID: the headers that say who sends $work/body: a signature (https://www.standardwebhooks.com), or
# the key. curl reads them from a file: what is on a command line, everyone on the machine can see.
credentials() {
	if [ -z "${CARRIER_SIGNING_SECRET-}" ]; then
		printf 'Authorization: Bearer %s\n' "$CARRIER_API_KEY"
		return
	fi
	local now key signature
	now=$(date +%s)
	key=$(printf %s "${CARRIER_SIGNING_SECRET#whsec_}" | base64 -d | od -An -v -tx1 | tr -d ' \n')
	signature=$({ printf '%s.%s.' "$1" "$now"; cat "$work/body"; } | openssl dgst -sha256 -mac HMAC -macopt "hexkey:$key" -binary | base64)
	printf 'webhook-id: %s\nwebhook-timestamp: %s\nwebhook-signature: v1,%s\n' "$1" "$now" "$signature"
}

# post URL MEDIA_TYPE: sends $work/body until there is an answer, and leaves that in $work/answer. Each attempt has the
# same bytes, so that what was taken already is a duplicate.
post() {
	local id status pause attempt
	id=$(od -An -v -N16 -tx1 /dev/urandom | tr -d ' \n')
	for ((attempt = 0; attempt < patience; attempt++)); do
		credentials "$id" >"$work/headers"
		: >"$work/answer"
		: >"$work/answered"
		status=$(curl -sS -m 30 -o "$work/answer" -D "$work/answered" -w '%{http_code}' \
			-H @"$work/headers" -H "Content-Type: $2" --data-binary @"$work/body" "$1") || status=000 # No answer, or half of one.
		case $status in
		000 | 408 | 429 | 5??) ;;
		2??) return ;;
		*)
			[ -n "$(member verdict)" ] && return # rejected, invalid or conflict: it stays so, however often it is sent.
			echo "$1: $status $(member title): $(member detail)" >&2
			exit 1
			;;
		esac
		pause=$(tr -d '\r' <"$work/answered" | sed -n 's/^[Rr]etry-[Aa]fter: *\([0-9]\{1,\}\)$/\1/p' | tail -n 1)
		pause=${pause:-$((attempt < 5 ? 1 << attempt : 30))}
		echo "not taken yet ($status); again in $pause s" >&2
		sleep "$pause"
	done
	echo "$1: not taken after $patience attempts; keep the events and send them again" >&2
	exit 1
}

# member NAME: a text of the answer, as far as sed understands JSON; with jq at hand, use that.
member() { sed -n 's/.*"'"$1"'":"\(\([^"\\]\|\\.\)*\)".*/\1/p' "$work/answer"; }

# send sends a file's events in its order: those of one waybill must not overtake each other.
send() {
	local line id verdict refused=0
	while IFS= read -r line || [ -n "$line" ]; do
		[ -n "$line" ] || continue
		printf %s "$line" >"$work/body"
		post "$1/v1/events" application/json
		id=$(member id) verdict=$(member verdict)
		echo "${id:--} $verdict"
		# A duplicate repeats what was answered first, which may have been a rejection.
		case $verdict/$(member original) in
		*/rejected | rejected/* | invalid/* | conflict/*)
			refused=1
			echo "  $(member detail)" >&2
			;;
		esac
	done <"$2"
	return "$refused"
}

batch() {
	cp "$2" "$work/body"
	post "$1/v1/events/batch" application/x-ndjson
	cat "$work/answer"
}

# token registers a waybill's Token; what waited for it is pushed then.
token() {
	printf 'Authorization: Bearer %s\n' "$CARRIER_ADMIN_TOKEN" >"$work/headers"
	printf '{"token":"%s"}' "$4" >"$work/body"
	curl -sS -m 30 --fail-with-body -o "$work/answer" -X PUT -H @"$work/headers" -H 'Content-Type: application/json' \
		--data-binary @"$work/body" "$1/admin/v1/waybills/$2/$3/token" || {
		member detail >&2
		return 1
	}
	grep -q '"token_set":true' "$work/answer" && echo "$3 token_set"
}

case "${1-}/$#" in
send/3 | batch/3 | token/5) "$1" "${2%/}" "${@:3}" ;;
*) sed -n '2,9s/^# \{0,1\}//p' "$0" >&2 && exit 1 ;;
esac
