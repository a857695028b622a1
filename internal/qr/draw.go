package qr

// draw places the patterns and the data and chooses the mask with the least
// penalty (ISO/IEC 18004, section 7).
func draw(version int, s shape, data []byte) *Code {
	var best *Code
	least := 0
	for mask := range 8 {
		c := newCode(version, s)
		c.format(mask)
		c.fill(data, mask)
		if p := c.penalty(); best == nil || p < least {
			best, least = c, p
		}
	}
	return best
}

func newCode(version int, s shape) *Code {
	size := 17 + 4*version
	c := &Code{Size: size, dark: make([]bool, size*size), set: make([]bool, size*size)}
	for i := range size { // timing
		c.put(6, i, i%2 == 0)
		c.put(i, 6, i%2 == 0)
	}
	for _, at := range [][2]int{{3, 3}, {size - 4, 3}, {3, size - 4}} {
		c.finder(at[0], at[1])
	}
	last := len(s.align) - 1
	for i, x := range s.align {
		for j, y := range s.align {
			if i == 0 && (j == 0 || j == last) || i == last && j == 0 {
				continue // a finder is there
			}
			c.square(x, y, 2, func(d int) bool { return d != 1 })
		}
	}
	c.format(0) // takes its place; drawn anew for each mask
	if version >= 7 {
		c.version(version)
	}
	return c
}

// finder is the large square of a corner with its light border.
func (c *Code) finder(x, y int) {
	c.square(x, y, 4, func(d int) bool { return d != 2 && d != 4 })
}

// square draws rings around a centre, as far as they are on the page.
func (c *Code) square(x, y, radius int, dark func(ring int) bool) {
	for dy := -radius; dy <= radius; dy++ {
		for dx := -radius; dx <= radius; dx++ {
			if x+dx >= 0 && x+dx < c.Size && y+dy >= 0 && y+dy < c.Size {
				c.put(x+dx, y+dy, dark(max(abs(dx), abs(dy))))
			}
		}
	}
}

func abs(v int) int { return max(v, -v) }

// remainder is v shifted by degree, with its remainder by a BCH polynomial.
func remainder(v, degree, polynomial int) int {
	rest := v
	for range degree {
		rest = rest<<1 ^ (rest>>(degree-1))*polynomial
	}
	return v<<degree | rest
}

// format draws level M and the mask twice (section 7.9).
func (c *Code) format(mask int) {
	const levelM = 0
	v := remainder(levelM<<3|mask, 10, 0x537) ^ 0x5412
	bit := func(i int) bool { return v>>i&1 == 1 }
	for i := range 6 {
		c.put(8, i, bit(i))
	}
	c.put(8, 7, bit(6))
	c.put(8, 8, bit(7))
	c.put(7, 8, bit(8))
	for i := 9; i < 15; i++ {
		c.put(14-i, 8, bit(i))
	}
	for i := range 8 {
		c.put(c.Size-1-i, 8, bit(i))
	}
	for i := 8; i < 15; i++ {
		c.put(8, c.Size-15+i, bit(i))
	}
	c.put(8, c.Size-8, true)
}

// version draws the version twice, from 7 on (section 7.10).
func (c *Code) version(version int) {
	v := remainder(version, 12, 0x1F25)
	for i := range 18 {
		a, b := c.Size-11+i%3, i/3
		c.put(a, b, v>>i&1 == 1)
		c.put(b, a, v>>i&1 == 1)
	}
}

// fill writes data in the zigzag of section 7.7.3 under a mask.
func (c *Code) fill(data []byte, mask int) {
	i := 0
	for right := c.Size - 1; right >= 1; right -= 2 {
		if right == 6 {
			right = 5 // the timing column
		}
		upward := (right+1)&2 == 0
		for step := range c.Size {
			y := step
			if upward {
				y = c.Size - 1 - step
			}
			for x := right; x > right-2; x-- {
				if c.set[y*c.Size+x] {
					continue
				}
				dark := i < len(data)*8 && data[i/8]>>(7-i%8)&1 == 1
				c.dark[y*c.Size+x] = dark != masked(mask, x, y)
				i++
			}
		}
	}
}

// masked is whether a mask turns a module over (table 10).
func masked(mask, x, y int) bool {
	switch mask {
	case 0:
		return (x+y)%2 == 0
	case 1:
		return y%2 == 0
	case 2:
		return x%3 == 0
	case 3:
		return (x+y)%3 == 0
	case 4:
		return (x/3+y/2)%2 == 0
	case 5:
		return x*y%2+x*y%3 == 0
	case 6:
		return (x*y%2+x*y%3)%2 == 0
	}
	return ((x+y)%2+x*y%3)%2 == 0
}

// penalty is how hard a code is to read (section 7.8.3.1).
func (c *Code) penalty() (p int) {
	dark := 0
	for y := range c.Size {
		p += c.line(func(i int) bool { return c.Dark(i, y) })
		p += c.line(func(i int) bool { return c.Dark(y, i) })
		for x := range c.Size {
			if c.Dark(x, y) {
				dark++
			}
			if x > 0 && y > 0 && c.Dark(x, y) == c.Dark(x-1, y) && c.Dark(x, y) == c.Dark(x, y-1) && c.Dark(x, y) == c.Dark(x-1, y-1) {
				p += 3
			}
		}
	}
	all := c.Size * c.Size
	return p + abs(dark*20-all*10)/all*10
}

// line is the penalty of one row or column: runs, and what looks like a finder.
func (c *Code) line(dark func(int) bool) (p int) {
	run, window := 0, 0
	for i := range c.Size {
		if i > 0 && dark(i) == dark(i-1) {
			run++
		} else {
			run = 1
		}
		switch {
		case run == 5:
			p += 3
		case run > 5:
			p++
		}
		window = window << 1 & 0x7FF
		if dark(i) {
			window |= 1
		}
		if i >= 10 && (window == 0x5D0 || window == 0x05D) {
			p += 40
		}
	}
	return p
}
