<?php
// The document's sample of a webhook, mended where it does not parse: the key is quoted, and its last line is whole.
//Example with PHP
$json_params = file_get_contents("php://input");
$data = json_decode($json_params, TRUE);
$token = $data['webhookkey'];
$type = strtolower($data['keyword']);
$key = "{{your_webhook_key}}"; // Chat Bot API Token
$response = array();

if($token == $key){
    if($type == "penawaran"){
    //Masukkan proses yang Anda ingin kan disini
    // Sample
    $hasNoError = true;
        if($hasNoError){
            $message['type'] = "message";
            $message['content'] = "Masukkan pesan berhasil disini";
            $response[] = $message;
        }else{
            $message['type'] = "message";
            $message['content'] = "Masukkan pesan error disini";
            $response[] = $message;
        }
    }else if($type == "otherType"){
        //Masukkan proses yang Anda ingin kan disini
        // Sample
        $hasNoError = true;
            if($hasNoError){
                $message['type'] = "message";
                $message['content'] = "Masukkan pesan berhasil disini";
                $response[] = $message;
            }else{
                $message['type'] = "message";
                $message['content'] = "Masukkan pesan error disini";
                $response[] = $message;
            }
    }else{
        $message['type'] = "message";
        $message['content'] = "Kata kunci tidak terdaftar";
        $response[] = $message;
    }
        header_remove();
        header('HTTP/1.1 200 Created');
        header('Content-Type: application/json');
        $replyObj['reply'] = $response;
        $res['success'] = true;
        $res['message'] = $response;
        print json_encode($res);
 }else{
        header_remove();
        header('HTTP/1.1 200 Created');
        header('Content-Type: application/json');
        $res['success'] = false;
        $res['message'] = "Unauthorized";
        print json_encode($res);
 }
