curl --location --request POST 'https://{{bot_url}}/api/getqr/' \
--header 'secretkey: {{secret_key}}' \
--data ''
