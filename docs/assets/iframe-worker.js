// A Worker for pages that are opened from the disk, where browsers refuse to start real ones. The
// script runs in a hidden frame, on the page's own thread; messages go back and forth as events.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super()
      this.frame = document.createElement("iframe")
      this.frame.hidden = true
      document.documentElement.append(this.frame)
      const inside = this.frame.contentWindow
      // written at once, or browsers replace an empty page, and what runs in it, once it is loaded
      inside.document.open()
      inside.document.write("<!doctype html><title>worker</title>")
      inside.document.close()
      inside.postMessage = data => this.deliver(this, data)
      this.ready = new Promise((resolve, reject) => {
        const script = inside.document.createElement("script")
        script.src = new URL(url, location.href).href
        script.onload = resolve
        script.onerror = () => reject(new Error(`cannot load ${url}`))
        inside.document.head.append(script)
      })
    }

    postMessage(data) {
      this.ready.then(() => this.deliver(this.frame.contentWindow, data))
    }

    deliver(target, data) {
      target.dispatchEvent(new MessageEvent("message", { data }))
    }

    terminate() {
      this.frame.remove()
    }
  }
}
