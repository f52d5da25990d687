// The same application of Vue.
import { createSSRApp, h, onMounted, ref } from 'vue'

export const make = () => createSSRApp({
	setup() {
		const n = ref(0)
		onMounted(() => (self.hydrated = true))
		return () => h('main', [
			h('h1', 'Shop'),
			h('button', { id: 'count', onClick: () => n.value++ }, 'pressed ' + n.value),
			h('img', { src: 'https://www.facebook.com/tr?id=1&ev=PageView&noscript=1', width: 1, height: 1, alt: '' }),
			n.value < 3 ? h('p', [h('iframe', { id: 'film', src: 'https://www.youtube.com/embed/film', width: 560, height: 315, title: 'film' })]) : null,
			n.value > 0 ? h('p', [h('iframe', { id: 'late', src: 'https://player.vimeo.com/video/1', width: 400, height: 225, title: 'late' })]) : null,
			n.value > 0 && n.value < 3 ? h('blockquote', { id: 'tweet', class: 'twitter-tweet' }, 'words') : null,
			h('div', { class: 'fb-like', 'data-href': '/' }),
			h('p', { id: 'end' }, 'end'),
		])
	},
})
