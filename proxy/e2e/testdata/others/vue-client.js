import { make } from './vue.js'

make().mount('#app')
