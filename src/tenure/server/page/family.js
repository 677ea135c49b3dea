// A family as the page draws it: a line of links, with its head, the head's children, and what a thief presented.

const STEP = 46
const NAMESPACE = 'http://www.w3.org/2000/svg'

export class Family {
  constructor(id) {
    this.id = id
    this.head = 0 // the newest link that was presented
    this.children = [{ thief: false }] // of the head
    this.presented = new Map() // by generation: whether the thief presented it
    this.state = 'alive'
    this.reused = null
    this.changed = 0
  }

  /** Take in one event of the service. */
  hear({ kind, generation, reason }, thief) {
    this.changed++
    if (kind === 'refreshed' || kind === 'rolled_back') {
      this.head = generation
      this.presented.set(generation, thief)
      this.children = [{ thief }]
    } else if (kind === 'retried') this.children.push({ thief })
    else if (kind === 'reuse_detected') {
      this.state = 'dead'
      this.reused = { generation, thief }
    } else if (kind === 'revoked' && this.state === 'alive') this.state = reason === 'reuse_detected' ? 'dead' : 'ended'
    else if (kind === 'expired') this.state = 'ended'
  }

  get says() {
    if (this.state === 'dead') return 'ended: an old token was presented'
    if (this.state === 'ended') return 'ended'
    return this.children.length > 1 ? 'two children: the first one used wins' : `head at link ${this.head}`
  }
}

function svg(name, attributes, ...children) {
  const element = document.createElementNS(NAMESPACE, name)
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value)
  element.append(...children)
  return element
}

function link(x, y, style, label) {
  return svg('g', { class: style }, svg('circle', { cx: x, cy: y, r: 14 }), svg('text', { x, y: y + 4 }, label))
}

/** The family as a heading and a picture. */
export function draw(family, owner) {
  const first = Math.max(0, family.head - 9)
  const at = (generation) => 24 + (generation - first) * STEP
  const tall = family.children.length > 1 || family.reused
  const middle = tall ? 46 : 24
  const picture = svg('svg', {
    class: `family ${family.state}`,
    width: Math.max(at(family.head + 1) + 24, family.reused ? at(Math.max(first, family.reused.generation)) + 190 : 0),
    height: tall ? 92 : 48,
    role: 'img',
    'aria-label': `${owner}: ${family.says}`,
  })
  for (let generation = first; generation <= family.head; generation++) {
    if (generation > first) picture.append(svg('path', { class: 'edge', d: `M${at(generation - 1) + 14} ${middle}H${at(generation) - 14}` }))
    const style = family.presented.get(generation) ? 'thief' : generation === family.head ? 'head' : 'past'
    picture.append(link(at(generation), middle, `${style}${generation === family.head ? ' new' : ''}`, generation || '·'))
  }
  const spread = family.children.length > 1 ? 26 : 0
  family.children.forEach((child, place) => {
    const y = middle + (place - (family.children.length - 1) / 2) * 2 * (family.children.length > 2 ? spread / (family.children.length - 1) : spread)
    picture.append(svg('path', { class: 'edge', d: `M${at(family.head) + 14} ${middle}L${at(family.head + 1) - 14} ${y}` }))
    picture.append(link(at(family.head + 1), y, `${spread ? 'sibling' : 'child'} new`, family.head + 1))
  })
  if (family.reused) {
    const x = at(Math.max(first, family.reused.generation))
    picture.append(svg('text', { x, y: 84 }, family.reused.thief ? 'presented again, by the thief' : 'presented by the other holder, too'))
    picture.lastChild.style.textAnchor = 'start'
    picture.lastChild.setAttribute('x', Math.max(4, x - 14))
  }
  const box = document.createElement('div')
  const heading = document.createElement('h3')
  heading.textContent = owner
  const small = document.createElement('small')
  small.textContent = family.says
  heading.append(small)
  const scroll = document.createElement('div')
  scroll.className = 'scroll'
  scroll.append(picture)
  box.append(heading, scroll)
  return box
}
