/** Holds the guard's matcher against decisions that the engine made. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import test from 'node:test'
import { type Decision, type Kind, type Unseen, makeMatcher, parse } from '../guard/matcher'
import type { Base, Part } from '../guard/table'

interface Vector {
	page: string
	site: string
	base: string
	kind: string
	ref: string
	unseen: Unseen
	/** vendor, category, party, and never where it is always held */
	want: string
}

interface Suite {
	name: string
	base: Base
	parts: Record<string, Part>
	vectors: Vector[]
}

const suites = JSON.parse(readFileSync(process.env['ASKFIRST_SUITES'] ?? '', 'utf8')) as Suite[]

type Matcher = ReturnType<typeof makeMatcher>

function ask(matcher: Matcher, v: Vector): Decision {
	switch (v.kind) {
		case 'cookie':
			return matcher.cookie(v.ref)
		case 'storage':
			return matcher.storage(v.ref)
		case 'inline':
			return matcher.inline(v.ref)
	}
	return matcher.url(v.ref, baseURI(v), v.kind as Kind, v.unseen)
}

/** Decides as the guard does: what it does not know it asks for. */
function decide(matcher: Matcher, parts: Record<string, Part>, v: Vector): Decision {
	matcher.learn('names', parts['names'] as Part)
	const d = ask(matcher, v)
	for (const part of d.unsure ?? []) matcher.learn(part, parts[part] as Part)
	return d.unsure ? ask(matcher, v) : d
}

/** What document.baseURI would be: HTML lets no base have these schemes. */
function baseURI(v: Vector): string {
	const base = parse(v.base, v.page)
	return base && !/^(data|javascript):$/.test(base.protocol) ? base.href : v.page
}

const spelled = (d: Decision): string => `${d.vendor?.[0] ?? '-'} ${d.never ? 'never' : d.category} ${d.party}`

for (const { name, base, parts, vectors } of suites) {
	test(name, () => {
		const wrong: string[] = []
		const matchers = new Map<string, Matcher>()
		for (const v of vectors) {
			// What a bare public suffix with a dot in it owns cannot be told from data-site.
			if (v.site === 'github.io') continue
			const matcher = matchers.get(v.page) ?? makeMatcher(base, v.site, v.page)
			matchers.set(v.page, matcher)
			const got = spelled(decide(matcher, parts, v))
			if (got !== v.want) wrong.push(`${v.page}: ${v.kind} ${JSON.stringify(v.ref)}${v.base && ' base ' + v.base}: got ${got}, want ${v.want}`)
		}
		assert.deepEqual(wrong, [])
		assert.ok(vectors.length > 100, 'too few vectors')
	})
}

const [first] = suites

test('what is not known is not decided', () => {
	const matcher = makeMatcher(first?.base ?? {}, 'shop.example', 'https://shop.example/')
	const unsure = (reference: string, kind: Kind) => matcher.url(reference, 'https://shop.example/', kind).unsure?.length ?? 0
	assert.equal(unsure('https://tracker.example/a.gif', 'image'), 2)
	assert.equal(unsure('/app.js', 'script'), 1)
	assert.equal(unsure('https://js.shop.example/app.js', 'script'), 2)
	assert.equal(unsure('/api/basket', 'connect'), 0)
	assert.equal(unsure('/a.png', 'image'), 0)
	for (const kind of ['image', 'connect', 'ping'] as const) assert.equal(unsure('https://count.shop.example/a', kind), 2)
	for (const kind of ['style', 'font', 'media', 'other'] as const) assert.equal(unsure('https://static.shop.example/a', kind), 0)
	assert.deepEqual(matcher.cookie('_ga').unsure, ['names'])
	assert.deepEqual(matcher.inline('x').unsure, ['code'])
})

test('a pattern of many pieces takes no time to speak of', () => {
	const matcher = makeMatcher(suites.find((s) => s.name === 'overrides')?.base ?? {}, 'shop.example', 'https://shop.example/')
	assert.equal(matcher.url('https://pieces.example/' + 'a'.repeat(5000), 'https://shop.example/').party, 'third')
})
