/* SPDX-License-Identifier: Apache-2.0
 * A page that is opened from a folder may start no worker. The search then runs in a hidden frame instead.
 */
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super()
      this.onmessage = null
      this.frame = document.createElement("iframe")
      this.frame.hidden = true
      this.frame.title = "search"
      const script = document.createElement("script")
      script.src = url
      this.ready = new Promise(resolve => {
        this.frame.addEventListener("load", () => {
          const inside = this.frame.contentWindow
          inside.postMessage = data => this.deliver(data)
          inside.importScripts = (...sources) => sources.reduce(
            (done, source) => done.then(() => load(inside.document, source)), Promise.resolve())
          load(inside.document, script.src).then(() => resolve(inside))
        }, { once: true })
      })
      this.frame.src = "about:blank"
      document.documentElement.appendChild(this.frame)
    }

    postMessage(data) {
      this.ready.then(inside => inside.dispatchEvent(new inside.MessageEvent("message", { data })))
    }

    terminate() {
      this.frame.remove()
    }

    deliver(data) {
      const event = new MessageEvent("message", { data })
      this.dispatchEvent(event)
      if (this.onmessage) this.onmessage(event)
    }
  }

  function load(page, source) {
    return new Promise((resolve, reject) => {
      const script = page.createElement("script")
      script.src = source
      script.onload = resolve
      script.onerror = reject
      page.body.appendChild(script)
    })
  }
}
