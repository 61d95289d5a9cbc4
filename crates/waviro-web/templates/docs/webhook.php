<?php
$data = json_decode(file_get_contents('php://input'), true);
if (!hash_equals('WEBHOOK_KEY', $data['webhookkey'] ?? '')) {
    http_response_code(401);
    exit;
}
if ($data['keyword'] === 'penawaran') {
    $name = $data['data'][0] ?? 'Kak';
    $reply = [
        ['type' => 'message', 'content' => "Halo $name, ini penawaran kami:"],
        ['type' => 'location', 'content' => [['coordinate' => '-6.175392-106.827153']]],
    ];
} else {
    $reply = [['type' => 'message', 'content' => 'Ketik penawaran#nama Anda']];
}
header('Content-Type: application/json');
echo json_encode(['success' => true, 'message' => ['reply' => $reply]]);
