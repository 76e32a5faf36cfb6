// The reverse proxy of Go's standard library, as a contender of the benchmark: no record, no log, no check of tokens.
//
// Usage: go-proxy PORT UPSTREAM_PORT
package main

import (
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
)

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: go-proxy PORT UPSTREAM_PORT")
	}
	target := &url.URL{Scheme: "http", Host: "127.0.0.1:" + os.Args[2]}
	proxy := &httputil.ReverseProxy{
		Rewrite:       func(request *httputil.ProxyRequest) { request.SetURL(target) },
		FlushInterval: -1,
		Transport:     &http.Transport{MaxIdleConnsPerHost: 4096},
	}
	handler := http.HandlerFunc(func(writer http.ResponseWriter, request *http.Request) {
		// Else the server closes the request's body when the reply begins, perhaps before the transport has seen its
		// end, and one reply in a hundred is cut off.
		_ = http.NewResponseController(writer).EnableFullDuplex()
		proxy.ServeHTTP(writer, request)
	})
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Args[1], handler))
}
