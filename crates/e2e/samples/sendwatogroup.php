<?php
$curl = curl_init();

curl_setopt_array($curl, array(
CURLOPT_URL => 'https://{{bot_url}}/api/sendwatogroup',
CURLOPT_RETURNTRANSFER => true,
CURLOPT_ENCODING => '',
CURLOPT_MAXREDIRS => 10,
CURLOPT_TIMEOUT => 0,
CURLOPT_FOLLOWLOCATION => true,
CURLOPT_HTTP_VERSION => CURL_HTTP_VERSION_1_1,
CURLOPT_CUSTOMREQUEST => 'POST',
CURLOPT_POSTFIELDS =>'{
"groupid": "120363xxxxxxxxxxx",
"pesan": "Test kirim text",
"notifyurl": "https://yourdomain/your_notify_url"
}',
CURLOPT_HTTPHEADER => array(
'secretkey:{{secret_key}} ',
'Content-Type: application/json'
),
));

$response = curl_exec($curl);

curl_close($curl);
echo $response;

?>
