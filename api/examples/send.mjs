#!/usr/bin/env node
// Sends scan events to carrier, and registers Tokens. Node 18 or newer, nothing else.
//
//   node send.mjs send URL FILE                                    events, one JSON object a line
//   node send.mjs token ADMIN_URL DELIVERY_ID WAYBILL_ID TOKEN     a waybill's Token
//
// Credentials come from the environment: CARRIER_SIGNING_SECRET (whsec_...), or CARRIER_API_KEY; for token
// CARRIER_ADMIN_TOKEN. For each event a line is printed, its id and its verdict. The exit status is 1 if any was refused.
import { createHmac, randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'

const batchSize = 100 // Events a request; 1,000 and 1 MiB are the most.
const patience = 10 // Attempts. A real sender keeps its events, and goes on for as long as it takes.
const safe = new Set(['accepted', 'held', 'ignored', 'duplicate'])

// credentials are the headers that say who sends: a signature (https://www.standardwebhooks.com), or the key.
function credentials(messageID, body) {
  const secret = process.env.CARRIER_SIGNING_SECRET
  if (!secret) return { authorization: `Bearer ${process.env.CARRIER_API_KEY}` }
  const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64')
  const now = Math.floor(Date.now() / 1000).toString()
  const signature = createHmac('sha256', key).update(`${messageID}.${now}.${body}`).digest('base64')
  return { 'webhook-id': messageID, 'webhook-timestamp': now, 'webhook-signature': `v1,${signature}` }
}

// post sends until there is an answer. Each attempt has the same bytes, so that what was taken already is a duplicate.
async function post(url, body, mediaType) {
  const messageID = randomUUID()
  for (let attempt = 0; attempt < patience; attempt++) {
    let pause = Math.random() * Math.min(30, 0.2 * 2 ** attempt)
    let trouble
    try {
      const answer = await fetch(url, {
        method: 'POST',
        headers: { 'content-type': mediaType, ...credentials(messageID, body) },
        body,
        redirect: 'manual',
        signal: AbortSignal.timeout(30_000),
      })
      const text = await answer.text()
      if (answer.ok) return JSON.parse(text)
      if (answer.status < 500 && answer.status !== 408 && answer.status !== 429) {
        const problem = asProblem(text)
        if (problem.verdict) return problem // rejected, invalid or conflict: it stays so, however often it is sent.
        throw new Fatal(`${url}: ${answer.status} ${problem.title ?? ''}: ${problem.detail ?? ''}`)
      }
      trouble = answer.status
      if (/^\d+$/.test(answer.headers.get('retry-after') ?? '')) pause = Number(answer.headers.get('retry-after'))
    } catch (e) {
      if (e instanceof Fatal) throw e
      trouble = e.cause?.message ?? e.message // No answer, or half of one.
    }
    console.error(`not taken yet (${trouble}); again in ${pause.toFixed(1)} s`)
    await sleep(pause * 1000)
  }
  throw new Fatal(`${url}: not taken after ${patience} attempts; keep the events and send them again`)
}

class Fatal extends Error {}

function asProblem(text) {
  try {
    return JSON.parse(text) ?? {}
  } catch {
    return {}
  }
}

// send sends a file's events in its order: those of one waybill must not overtake each other.
async function send(url, file) {
  const lines = (await readFile(file, 'utf8')).split('\n').filter((line) => line.trim())
  let refused = 0
  for (let i = 0; i < lines.length; i += batchSize) {
    const part = lines.slice(i, i + batchSize)
    const results =
      part.length === 1
        ? [await post(`${url}/v1/events`, part[0], 'application/json')]
        : (await post(`${url}/v1/events/batch`, part.join('\n') + '\n', 'application/x-ndjson')).results
    for (const result of results) {
      console.log(result.id || '-', result.verdict)
      // A duplicate repeats what was answered first, which may have been a rejection.
      if (safe.has(result.verdict) && result.original !== 'rejected') continue
      refused++
      console.error(' ', result.detail ?? '')
    }
  }
  return refused ? 1 : 0
}

// token registers a waybill's Token; what waited for it is pushed then.
async function token(adminURL, deliveryID, waybillID, value) {
  const path = `/admin/v1/waybills/${encodeURIComponent(deliveryID)}/${encodeURIComponent(waybillID)}/token`
  const answer = await fetch(adminURL + path, {
    method: 'PUT',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${process.env.CARRIER_ADMIN_TOKEN}` },
    body: JSON.stringify({ token: value }),
    redirect: 'manual',
    signal: AbortSignal.timeout(30_000),
  })
  const text = await answer.text()
  if (!answer.ok) throw new Fatal(`${answer.status}: ${asProblem(text).detail ?? ''}`)
  console.log(waybillID, JSON.parse(text).token_set ? 'token_set' : 'no token')
  return 0
}

const [verb, ...args] = process.argv.slice(2)
try {
  if (verb === 'send' && args.length === 2) process.exitCode = await send(args[0].replace(/\/+$/, ''), args[1])
  else if (verb === 'token' && args.length === 4) process.exitCode = await token(args[0].replace(/\/+$/, ''), ...args.slice(1))
  else throw new Fatal('send URL FILE, or token ADMIN_URL DELIVERY_ID WAYBILL_ID TOKEN')
} catch (e) {
  console.error(e.message)
  process.exitCode = 1
}
