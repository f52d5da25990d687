// Carries out a rule in Consent-O-Matic's format, as its README describes that:
// as much of it as our own rule uses, and nothing that it does not describe.
self.consentOMatic = async (rule, consents) => {
	const only = (what, ...known) => { for (const key in what) if (!known.includes(key)) throw new Error("not described: " + key) };
	const pause = ms => new Promise(done => setTimeout(done, ms));
	const select = (at, from) => {
		only(at, "selector", "displayFilter");
		// A parent with a shadow tree is searched in that.
		return [...(from.shadowRoot ?? from).querySelectorAll(at.selector)].find(el => at.displayFilter === undefined || at.displayFilter === (el.offsetHeight !== 0));
	};
	const find = at => {
		const parent = at.parent ? select(at.parent, document) : document;
		return parent && select(at.target, parent);
	};
	const matchers = {
		css: m => !!find(m),
		checkbox: m => find(m).checked,
	};
	const matches = m => (only(m, "type", "parent", "target"), matchers[m.type](m));
	const actions = {
		click: a => (only(a, "type", "parent", "target"), find(a)?.click()),
		list: async a => { only(a, "type", "actions"); for (const one of a.actions) await act(one) },
		waitcss: async a => {
			only(a, "type", "parent", "target", "retries", "waitTime");
			for (let left = a.retries; !find(a); left--) {
				if (!left) throw new Error("nothing is " + a.target.selector);
				await pause(a.waitTime);
			}
		},
		consent: async a => {
			only(a, "type", "consents");
			for (const c of a.consents) {
				only(c, "type", "matcher", "toggleAction");
				if (matches(c.matcher) !== !!consents[c.type]) await act(c.toggleAction);
			}
		},
	};
	const act = a => actions[a.type](a);
	only(rule, "detectors", "methods");
	const detected = rule.detectors.find(d => (only(d, "presentMatcher", "showingMatcher"), d.presentMatcher.every(matches)));
	if (!detected) return "not present";
	if (!detected.showingMatcher.every(matches)) return "not showing";
	for (const name of ["HIDE_CMP", "OPEN_OPTIONS", "HIDE_CMP", "DO_CONSENT", "SAVE_CONSENT"]) {
		const method = rule.methods.find(m => m.name === name);
		if (method) await act(method.action);
	}
	return "handled";
};
