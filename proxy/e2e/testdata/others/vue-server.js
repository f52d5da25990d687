import { renderToString } from 'vue/server-renderer'
import { make } from './vue.js'

process.stdout.write(await renderToString(make()))
