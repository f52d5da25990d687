package cli

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"

	"github.com/askfirst/askfirst/configs"
	"github.com/askfirst/askfirst/proxy/admin"
	"github.com/askfirst/askfirst/proxy/demo"
	"github.com/askfirst/askfirst/rules"
)

func runDemo(c *console, args []string) error {
	f := c.flags("demo [--listen ADDRESS] [--admin ADDRESS]")
	listen := f.String("listen", "", "the `address` of the demo shop (default 127.0.0.1:8080, or a free port)")
	adminAddress := f.String("admin", "", "the `address` of the audit (default 127.0.0.1:9090, or a free port)")
	logger := c.logFormat(f)
	if err := parse(f, args, 0); err != nil {
		return err
	}
	log, err := logger()
	if err != nil {
		return err
	}
	cfg := configs.Default()
	if cfg.Listen, err = freeAddress(*listen, "127.0.0.1:8080"); err != nil {
		return err
	}
	if cfg.Admin, err = freeAddress(*adminAddress, "127.0.0.1:9090"); err != nil {
		return err
	}

	parties := demo.NewParties()
	partiesAddress, err := serveLocally(parties)
	if err != nil {
		return err
	}
	_, port, _ := net.SplitHostPort(partiesAddress)
	siteAddress, err := serveLocally(demo.NewSite(func(host string) string {
		return "http://" + host + demo.Suffix + ":" + port
	}))
	if err != nil {
		return err
	}

	engine, err := rules.New(rules.Options{})
	if err != nil {
		return err
	}
	site := configs.DefaultSite()
	site.Name, site.Title, site.Hosts, site.PolicyURL = "demo", "Nordhang", []string{"*"}, "/contact"
	site.Upstream = &url.URL{Scheme: "http", Host: siteAddress}
	site.Overrides = demo.Overrides(engine.Vendors())
	cfg.Alerts.On = []configs.AlertKind{configs.AlertFiredAnyway, configs.AlertReceiptsFailing} // all vendors are new here
	cfg.Sites = []configs.Site{site}

	return serve(&cfg, log, &serveOptions{
		contacts: func() []admin.Contact { return contacts(engine, parties) },
		ready: func(listen, admin string) {
			fmt.Fprintf(c.out, `
  The shop, with askfirst in front:      http://%s/
  The same shop, without askfirst:       http://%s/
  Who has been contacted, and the audit: http://%s/

Stop with Ctrl-C. Nothing is kept.

`, local(listen), local(siteAddress), admin)
		},
	})
}

// contacts names the vendors behind what reached the stand-ins.
func contacts(engine *rules.Engine, parties *demo.Parties) []admin.Contact {
	var page rules.Page
	page.Reset([]byte("http://localhost/"))
	list := []admin.Contact{}
	for _, contact := range parties.Contacts() {
		vendor := ""
		if d := engine.URL(&page, []byte("https://"+contact.Host+contact.Path), rules.Other); d.Vendor != nil {
			vendor = d.Vendor.Name
		}
		list = append(list, admin.Contact{Host: contact.Host, Vendor: vendor, Requests: contact.Requests, Cookies: contact.Cookies})
	}
	return list
}

// freeAddress returns asked, or where nothing was asked for usual if it is
// free, or else a free port of this machine.
func freeAddress(asked, usual string) (string, error) {
	if asked != "" {
		if err := configs.CheckAdmin(asked); err != nil {
			return "", usageErrorf("the demo stays on this machine: %q is no loopback address with a port", asked)
		}
		return asked, nil
	}
	l, err := net.Listen("tcp", usual)
	if errors.Is(err, syscall.EADDRINUSE) {
		return "127.0.0.1:0", nil
	}
	if err != nil {
		return "", err
	}
	return usual, l.Close()
}

// local writes a loopback address by the name that browsers treat as secure.
func local(address string) string {
	return strings.Replace(address, "127.0.0.1:", "localhost:", 1)
}

// serveLocally serves h on a free loopback port for as long as the process
// lives.
func serveLocally(h http.Handler) (address string, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	go http.Serve(l, h)
	return l.Addr().String(), nil
}
