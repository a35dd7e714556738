<?php
// Hands what GitHub sends to deploy.cgi, and its answer back, on a host that has PHP (7.4 or newer) and no CGI. This file
// lies among the pages that visitors see. The site file lies outside of them, with permissions 0755:
const SITE = '/home/me/deploy.cgi';

$cgi = '/^(PATH|PATH_INFO|SCRIPT_NAME|QUERY_STRING|REQUEST_METHOD|(CONTENT|HTTP|REMOTE|SERVER)_\w+)$/';
$env = array_intersect_key($_SERVER, array_flip(preg_grep($cgi, array_keys($_SERVER))));
$may = function_exists('proc_open');
$deploy = $may ? @proc_open([SITE], [['pipe', 'r'], ['pipe', 'w']], $pipes, null, $env + ['GATEWAY_INTERFACE' => 'CGI/1.1']) : false;
if ($deploy) {
    @stream_copy_to_stream(fopen('php://input', 'r'), $pipes[0]);
    fclose($pipes[0]);
}
[$head, $body] = explode("\r\n\r\n", $deploy ? stream_get_contents($pipes[1]) : '', 2) + ['', ''];
if (!preg_match('/^Status: (\d+).*\r\n/', $head, $status)) {
    $status = ['', 500];
    $head = "Content-Type: text/plain; charset=utf-8\r\nCache-Control: no-store";
    $body = $may ? "error: PHP could not start deploy.cgi\n" : "error: proc_open is switched off in this PHP\n";
}
header_remove('X-Powered-By');
foreach (explode("\r\n", substr($head, strlen($status[0]))) as $line) {
    header($line, true, (int) $status[1]);
}
echo $body;
