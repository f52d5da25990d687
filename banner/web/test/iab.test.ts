/** Has the IAB's decoders read the TC and GPP strings that the server writes. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import test from 'node:test'
import { GppModel } from '@iabgpp/cmpapi'
import { TCString } from '@iabtcf/core'

interface Given {
	list: { vendorListVersion: number; tcfPolicyVersion: number; vendors: Record<string, { purposes: number[]; deletedDate?: string }> }
	tc: { text: string; categories: string[] }[]
	gpp: { name: string; optOut: boolean; gpc: boolean; mspa: string; id: number; text: string; fields: Record<string, unknown> }[]
	none: string
}

const given = JSON.parse(readFileSync(process.env['ASKFIRST_STRINGS'] ?? '', 'utf8')) as Given

/** What each purpose needs, as the documentation says it. */
const needs: Record<number, string[]> = {
	1: [], 2: ['marketing'], 3: ['marketing'], 4: ['marketing'], 5: ['marketing', 'functional'], 6: ['marketing', 'functional'],
	7: ['marketing'], 8: ['analytics'], 9: ['analytics'], 10: ['analytics'], 11: ['functional'],
}

test('TC strings', () => {
	assert.equal(given.tc.length, 16)
	for (const { text, categories } of given.tc) {
		const model = TCString.decode(text)
		const purposes = Object.keys(needs).map(Number).filter((p) => categories.length > 0 && needs[p]?.every((c) => categories.includes(c)))
		const live = Object.entries(given.list.vendors).filter(([, v]) => !v.deletedDate)
		const vendors = live.filter(([, v]) => v.purposes.length > 0 && v.purposes.every((p) => purposes.includes(p))).map(([id]) => Number(id))
		const ids = (vector: { forEach(f: (has: boolean, id: number) => void): void }): number[] => {
			const found: number[] = []
			vector.forEach((has, id) => has && found.push(id))
			return found
		}
		const day = Date.UTC(2026, 10, 25)
		assert.deepEqual(
			[model.version, model.cmpId, model.cmpVersion, model.consentLanguage, model.publisherCountryCode, model.vendorListVersion, model.policyVersion],
			[2, 31, 2, 'DE', 'AT', given.list.vendorListVersion, given.list.tcfPolicyVersion],
		)
		assert.deepEqual([model.created.getTime(), model.lastUpdated.getTime()], [day, day])
		assert.deepEqual([model.isServiceSpecific, model.useNonStandardStacks, model.purposeOneTreatment], [true, true, false])
		assert.deepEqual(ids(model.purposeConsents), purposes, categories.join())
		assert.deepEqual(ids(model.vendorConsents), vendors, categories.join())
		assert.deepEqual(ids(model.vendorsDisclosed), live.map(([id]) => Number(id)))
		assert.deepEqual([ids(model.purposeLegitimateInterests), ids(model.vendorLegitimateInterests), ids(model.specialFeatureOptins)], [[], [], []])
		assert.equal(model.publisherRestrictions.numRestrictions, 0)
	}
})

test('GPP strings', () => {
	assert.equal(given.gpp.length, 21 * 12)
	assert.deepEqual(new GppModel(given.none).getSectionIds(), [])
	for (const { name, optOut, gpc, mspa, id, text, fields } of given.gpp) {
		const model = new GppModel(text)
		assert.deepEqual(model.getSectionIds(), [id])
		const section = model.getSection(name) as Record<string, unknown>
		// The decoder says of sections without such a segment that they have one.
		for (const added of ['SensitiveDataConsentSegmentIncluded', 'SensitiveDataProcessing']) if (!(added in fields)) delete section[added]
		assert.deepEqual(fields, section, name)
		const says = (field: string): unknown => (model.hasField(name, field) ? model.getFieldValue(name, field) : undefined)
		const opted = optOut ? 1 : 2
		assert.deepEqual([says('SaleOptOut'), says('SaleOptOutNotice')], [opted, 1])
		for (const field of ['SharingOptOut', 'TargetedAdvertisingOptOut']) assert.ok([undefined, opted].includes(says(field) as number), name + field)
		assert.equal(says('MspaCoveredTransaction'), mspa === 'none' ? 2 : 1)
		if ('Gpc' in fields) assert.equal(says('Gpc'), gpc)
		// What is decoded and encoded again is the same.
		model.setFieldValue(name, 'SaleOptOut', opted)
		if ('Gpc' in fields) assert.equal(model.encode(), text, name)
	}
})
