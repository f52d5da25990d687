package admin

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// chart draws counts by day as columns, one part on top of the other, the first
// at the bottom. The drawing is there without scripts; with them the page draws
// it anew from Data, so that it can be read off.
type chart struct {
	Parts    []part
	Bars     []bar
	Top      int64 // the number at the upper edge
	From, To time.Time
	Width    float64
	Empty    bool
	Label    string // all of it in words
	Data     string // as JSON, for the script

	counts map[time.Time][]int64
}

// part is one of the things that are counted. Tone names its colour.
type part struct{ Name, Tone string }

// bar is a day.
type bar struct {
	Day      time.Time
	X, Width float64
	Label    string
	Segments []segment
}

// segment is a part of a bar. Y and Height are in hundredths of the drawing's
// height.
type segment struct {
	Tone      string
	Y, Height float64
}

// chartWidth is the width of the drawing; its height is 100.
const chartWidth = 720

func newChart(from, to time.Time, parts ...part) *chart {
	return &chart{Parts: parts, From: from, To: to, Width: chartWidth, counts: make(map[time.Time][]int64)}
}

// add adds to the count of a part on a day.
func (c *chart) add(day time.Time, part int, n int64) {
	if c.counts[day] == nil {
		c.counts[day] = make([]int64, len(c.Parts))
	}
	c.counts[day][part] += n
}

// draw computes the drawing.
func (c *chart) draw() *chart {
	day := time.Date(c.From.Year(), c.From.Month(), c.From.Day(), 0, 0, 0, 0, time.UTC)
	// Days before the first that has something say nothing, but for a few.
	for len(c.counts) > 0 && c.counts[day] == nil && day.Before(c.To.AddDate(0, 0, -7)) {
		day = day.AddDate(0, 0, 1)
	}
	c.From = day
	type series struct {
		Name   string  `json:"name"`
		Tone   string  `json:"tone"`
		Counts []int64 `json:"counts"`
	}
	data := struct {
		Days  []int64  `json:"days"`
		Parts []series `json:"parts"`
	}{}
	totals := make([]int64, len(c.Parts))
	for _, p := range c.Parts {
		data.Parts = append(data.Parts, series{p.Name, p.Tone, nil})
	}
	for ; !day.After(c.To); day = day.AddDate(0, 0, 1) {
		var sum int64
		data.Days = append(data.Days, day.Unix())
		for i := range c.Parts {
			var n int64
			if counts := c.counts[day]; counts != nil {
				n = counts[i]
			}
			sum += n
			totals[i] += n
			data.Parts[i].Counts = append(data.Parts[i].Counts, n)
		}
		c.Top = max(c.Top, sum)
		c.Bars = append(c.Bars, bar{Day: day})
	}
	c.Empty = c.Top == 0
	c.Top = roundUp(c.Top)
	step := float64(chartWidth) / float64(len(c.Bars))
	for i := range c.Bars {
		b := &c.Bars[i]
		b.Width = min(step*0.76, 56)
		b.X = float64(i)*step + (step-b.Width)/2
		y := 100.0
		words := make([]string, len(c.Parts))
		for k, p := range c.Parts {
			n := data.Parts[k].Counts[i]
			height := 100 * float64(n) / float64(c.Top)
			y -= height
			b.Segments = append(b.Segments, segment{p.Tone, y, height})
			words[k] = count(n) + " " + p.Name
		}
		b.Label = b.Day.Format("2 Jan 2006") + ": " + strings.Join(words, ", ")
	}
	words := make([]string, len(c.Parts))
	for i, p := range c.Parts {
		words[i] = fmt.Sprintf("%s %s", count(totals[i]), p.Name)
	}
	c.Label = strings.Join(words, ", ")
	text, err := json.Marshal(data)
	if err != nil {
		panic(err) // numbers and names of ours
	}
	c.Data = string(text)
	return c
}

// roundUp returns the next number with one or two leading digits.
func roundUp(n int64) int64 {
	unit := int64(1)
	for n/unit >= 20 {
		unit *= 10
	}
	return max((n+unit-1)/unit*unit, 1)
}
