package main

import (
	"strings"
	"unicode/utf8"
)

// cell is text with its colour.
type cell struct {
	text string
	sgr  string // "" is none
}

// table lines up rows. The last column is cut at the width of a terminal.
func (a *app) table(rows [][]cell) string {
	if len(rows) == 0 {
		return ""
	}
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for c := range row {
			row[c].text = harmlessCell(row[c].text)
			widths[c] = max(widths[c], utf8.RuneCountInString(row[c].text))
		}
	}
	last := len(widths) - 1
	room := 0
	if columns := width(a.out); columns > 0 {
		used := 0
		for _, w := range widths[:last] {
			used += w + 2
		}
		room = max(20, columns-used)
	}
	var b strings.Builder
	for _, row := range rows {
		for c, one := range row[:last] {
			b.WriteString(a.paint(one.sgr, one.text))
			b.WriteString(strings.Repeat(" ", widths[c]-utf8.RuneCountInString(one.text)+2))
		}
		b.WriteString(a.paint(row[last].sgr, cut(row[last].text, room)))
		b.WriteString("\n")
	}
	return b.String()
}

// cut shortens text to a width; 0 does not.
func cut(s string, width int) string {
	if width == 0 || utf8.RuneCountInString(s) <= width {
		return s
	}
	runes := []rune(s)
	return string(runes[:width-1]) + "…"
}
