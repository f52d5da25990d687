/** Holds the guard's matcher against decisions that the engine made. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import test from 'node:test'
import { type Decision, type Kind, Matcher, glob, parse } from '../guard/matcher'
import type { Table } from '../guard/table'

interface Vector {
	page: string
	site: string
	base: string
	kind: string
	ref: string
	/** vendor, category, party, and never where it is always held */
	want: string
}

interface Suite {
	name: string
	table: Table
	vectors: Vector[]
}

const suites = JSON.parse(readFileSync(process.env['ASKFIRST_SUITES'] ?? '', 'utf8')) as Suite[]

function decide(matcher: Matcher, v: Vector): Decision {
	switch (v.kind) {
		case 'cookie':
			return matcher.cookie(v.ref)
		case 'storage':
			return matcher.storage(v.ref)
		case 'inline':
			return matcher.inline(v.ref)
		case 'widget':
			return matcher.mark(v.ref)
	}
	return matcher.url(v.ref, baseURI(v), v.kind as Kind)
}

/** What document.baseURI would be: HTML lets no base have these schemes. */
function baseURI(v: Vector): string {
	const base = parse(v.base, v.page)
	return base && !/^(data|javascript):$/.test(base.protocol) ? base.href : v.page
}

const spelled = (d: Decision): string => `${d.vendor?.[0] ?? '-'} ${d.never ? 'never' : d.category} ${d.party}`

for (const { name, table, vectors } of suites) {
	test(name, () => {
		const wrong: string[] = []
		const matchers = new Map<string, Matcher>()
		for (const v of vectors) {
			// What a bare public suffix with a dot in it owns cannot be told from data-site.
			if (v.site === 'github.io') continue
			const matcher = matchers.get(v.page) ?? new Matcher(table, v.site, v.page)
			matchers.set(v.page, matcher)
			const got = spelled(decide(matcher, v))
			if (got !== v.want) wrong.push(`${v.page}: ${v.kind} ${JSON.stringify(v.ref)}${v.base && ' base ' + v.base}: got ${got}, want ${v.want}`)
		}
		assert.deepEqual(wrong, [])
		assert.ok(vectors.length > 100, 'too few vectors')
	})
}

test('a glob takes no time to speak of', () => {
	assert.ok(!glob('*a'.repeat(20) + 'b', 'a'.repeat(5000)))
})
