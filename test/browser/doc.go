// Package browser tests `vigil browse` as its users meet it: real incidents of
// real services, in a real Chromium.
package browser
